// Strips of chosen pictures. The value lives in the browser; `input` tells when it changed.
const box = element.querySelector(".slots");
let active = 0, dragged = null;

function change(strips) {
  props.value = { ...props.value, strips };
  show();
  trigger("input", {});
}

function edited(index, work) {
  const strips = props.value.strips.map((strip) => ({ ...strip, items: [...strip.items] }));
  work(strips[index].items, strips);
  change(strips);
}

function move(index, from, to) {
  edited(index, (items) => items.splice(Math.max(0, to), 0, ...items.splice(from, 1)));
  box.querySelectorAll(".strip")[index]?.querySelectorAll(".slot")[Math.min(Math.max(0, to), props.value.strips[index].items.length - 1)]?.focus();
}

function slot(item, index, place) {
  const node = make("li", "slot");
  colour(node, item);
  node.tabIndex = 0;
  node.draggable = true;
  node.title = item.about + "\nDrag, or Alt and arrows: move. Delete: remove.";
  node.setAttribute("aria-label", item.name + ", number " + (place + 1));
  const img = make("img", "", node);
  img.src = item.src;
  img.alt = item.about;
  img.draggable = false;
  make("span", "name", node, item.name);
  const remove = make("button", "remove", node, "×");
  remove.setAttribute("aria-label", "Take " + item.name + " out");
  remove.title = "Take out";
  remove.addEventListener("click", () => edited(index, (items) => items.splice(place, 1)));
  node.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.altKey && step) move(index, place, place + step);
    else if (step) box.querySelectorAll(".strip")[index].querySelectorAll(".slot")[place + step]?.focus();
    else if (event.key === "Delete") edited(index, (items) => items.splice(place, 1));
    else return;
    event.preventDefault();
  });
  node.addEventListener("dragstart", () => (dragged = { index, place }));
  node.addEventListener("dragover", (event) => dragged && event.preventDefault());
  node.addEventListener("drop", (event) => {
    if (!dragged) return;
    event.preventDefault();
    if (dragged.index === index) move(index, dragged.place, place);
    else edited(index, (items, all) => items.splice(place, 0, ...all[dragged.index].items.splice(dragged.place, 1)));
    dragged = null;
  });
  return node;
}

function add(item) {
  const strip = props.value.strips[active];
  const most = props.value.most;
  edited(active, (items) => {
    if (most === 1) items.splice(0, 1);
    if (items.length < most) items.push(item);
  });
  if (most > 1 && strip.items.length >= most) hint(strip.name + " holds " + most + " pictures; take one out first.");
}

function hint(text) {
  const line = box.querySelector(".slots-hint");
  if (line) line.textContent = text;
}

function show() {
  const value = props.value;
  if (!value || !value.strips) return;
  const several = value.strips.length > 1;
  const nodes = value.strips.map((strip, index) => {
    const part = make("div", "strip" + (several && index === active ? " active" : ""));
    const head = make("div", "strip-head", part);
    const title = several ? make("button", "strip-name", head, strip.name) : make("h3", "strip-name", head, strip.name);
    if (several) {
      title.setAttribute("aria-pressed", String(index === active));
      title.title = "Fill these from the shelf";
    }
    part.addEventListener("pointerdown", () => { if (several && active !== index) { active = index; mark(); } });
    title.addEventListener("click", () => { active = index; mark(); });
    const list = make("ul", "slot-list", part);
    strip.items.forEach((item, place) => list.appendChild(slot(item, index, place)));
    if (!strip.items.length) make("li", "slot-empty", list, "Click a picture on the shelf.");
    return part;
  });
  nodes.push(make("p", "slots-hint", null, several ? "A click on the shelf adds to " + value.strips[active].name.toLowerCase() + "." : value.most > 1 ? "A click on the shelf adds a picture here." : "A click on the shelf puts a picture here."));
  nodes.at(-1).setAttribute("role", "status");
  box.replaceChildren(...nodes);
}

function mark() {
  box.querySelectorAll(".strip").forEach((part, index) => {
    part.classList.toggle("active", index === active);
    part.querySelector("button.strip-name")?.setAttribute("aria-pressed", String(index === active));
  });
  hint("A click on the shelf adds to " + props.value.strips[active].name.toLowerCase() + ".");
}

document.addEventListener("cocktail:use", (event) => { if (element.isConnected && box.checkVisibility()) add(event.detail); });
watch("value", show);
show();
