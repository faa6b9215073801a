// What the page's components share; it stands before the script of each.
function make(tag, name, parent, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text) node.textContent = text;
  if (parent) parent.appendChild(node);
  if (tag === "button") node.type = "button";
  return node;
}

function set(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

function colour(node, item) {
  if (item.light) node.style.setProperty("--c-light", item.light);
  if (item.dark) node.style.setProperty("--c-dark", item.dark);
  node.classList.toggle("classed", Boolean(item.label && item.light));
}

function icon(parent, path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" })) svg.setAttribute(name, value);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.appendChild(line);
  parent.appendChild(svg);
}

function remember(key, value) {
  try { localStorage.setItem(key, value); } catch (error) { /* private window: not kept */ }
}

function recall(key) {
  try { return localStorage.getItem(key); } catch (error) { return null; }
}

// Runs one call at a time; of those that come meanwhile only the newest waits. A dragged slider never queues up.
function latest(work) {
  let busy = false, next = null;
  return async function ask(...values) {
    if (busy) return void (next = values);
    busy = true;
    try { await work(...values); } finally {
      busy = false;
      if (next) { const values = next; next = null; ask(...values); }
    }
  };
}

// One picture: a click puts it on the shelf, the small button saves it. The events are those of the component.
const SAVE = "M8 2v8m0 0 3.2-3.2M8 10 4.8 6.8M2.5 13.5h11";

function newCell() {
  const cell = make("figure", "cell");
  const button = make("button", "picture", cell);
  make("img", "", button).decoding = "sync";
  make("span", "hint", button);
  icon(make("button", "save", cell), SAVE);
  make("figcaption", "", cell);
  return cell;
}

function fillCell(cell, item) {
  const [button, save, caption] = cell.children;
  const img = button.firstChild;
  cell.dataset.id = item.id;
  cell.dataset.recipe = item.recipe;
  colour(cell, item);
  set(button, "title", item.about);
  set(button, "aria-label", "Put on the shelf: " + item.about);
  set(save, "title", "Download this picture: " + item.about);
  set(save, "aria-label", "Download " + item.about);
  set(img, "alt", item.about);
  caption.textContent = item.caption || "";
  caption.hidden = !item.caption;
  if (item.src) set(img, "src", item.src);
  cell.classList.toggle("waiting", !item.src);
  cell.classList.toggle("blank", !img.getAttribute("src"));
}

function clicked(event) {
  const button = event.target.closest("button");
  const cell = button?.closest(".cell");
  if (!cell || !cell.dataset.recipe) return;
  if (button.classList.contains("save")) trigger("download", { recipe: cell.dataset.recipe });
  else if (button.classList.contains("picture")) trigger("select", { recipe: cell.dataset.recipe });
}

// Smooth or exact pixels, as its buttons with data-pixels show; without a mode, what was chosen last in any tab.
function enlarge(section, mode = recall("cocktail-pixels") || "smooth") {
  section.classList.toggle("exact", mode === "exact");
  element.querySelectorAll("[data-pixels]").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.pixels === mode)));
  remember("cocktail-pixels", mode);
}

function markShelved(within) {
  const shelved = new Set((window.cocktailShelf || []).map((pick) => pick.id));
  within.querySelectorAll(".cell").forEach((cell) => {
    const on = shelved.has(cell.dataset.id);
    cell.classList.toggle("shelved", on);
    const hint = cell.querySelector(".hint");
    if (hint) hint.textContent = on ? "On the shelf" : "To the shelf";
  });
}
