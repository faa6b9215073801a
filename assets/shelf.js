// Draws the shelf and tells the page which pictures are on it.
const strip = element.querySelector(".shelf");

function make(tag, name, parent, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text) node.textContent = text;
  if (parent) parent.appendChild(node);
  return node;
}

function item(pick) {
  const node = make("li", "pick" + (pick.plain ? "" : " classed"));
  node.dataset.id = pick.id;
  node.style.setProperty("--c-light", pick.light);
  node.style.setProperty("--c-dark", pick.dark);
  node.title = pick.made;
  const img = make("img", "", node);
  img.src = pick.src;
  img.alt = pick.made;
  make("span", "name", node, pick.name);
  const remove = make("button", "remove", node, "×");
  remove.type = "button";
  remove.setAttribute("aria-label", "Remove " + pick.name + " from the shelf");
  remove.title = "Remove from the shelf";
  return node;
}

function show() {
  const value = props.value || { picks: [] };
  const known = new Set([...strip.querySelectorAll(".pick")].map((node) => node.dataset.id));
  const head = make("h2", "", null, "Shelf");
  const nodes = [head];
  if (!value.picks.length) {
    nodes.push(make("p", "shelf-empty", null, "Empty. Click a picture to keep it here; only this browser sees your shelf."));
  } else {
    const list = make("ul", "picks");
    value.picks.forEach((pick) => list.appendChild(item(pick)));
    const clear = make("button", "tool clear", null, "Clear");
    clear.type = "button";
    clear.title = "Remove every picture from the shelf";
    nodes.push(list, clear);
  }
  strip.replaceChildren(...nodes);
  const last = strip.querySelector(`[data-id="${value.last}"]`);
  if (last) {
    last.parentNode.scrollLeft = last.offsetLeft;
    last.classList.add(known.has(value.last) ? "again" : "new");
  }
  window.cocktailShelf = value.picks.map((pick) => pick.id);
  document.dispatchEvent(new CustomEvent("cocktail:shelf"));
}

element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.classList.contains("remove")) trigger("delete", { id: button.closest(".pick").dataset.id });
  else trigger("clear", {});
});

watch("value", show);
show();
