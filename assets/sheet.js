// Draws a sheet of pictures from its value and keeps the old picture of a cell until the new one is there.
const grid = element.querySelector(".sheet-grid");
const note = element.querySelector(".note");
const status = element.querySelector(".status");
const bar = element.querySelector(".tools");
const section = element.querySelector(".sheet");
let fitted = false;
const ICON = "M8 2v8m0 0 3.2-3.2M8 10 4.8 6.8M2.5 13.5h11";

function make(tag, name, parent) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (parent) parent.appendChild(node);
  return node;
}

function set(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

function colour(node, item) {
  node.style.setProperty("--c-light", item.light);
  node.style.setProperty("--c-dark", item.dark);
}

function icon(parent) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of [["viewBox", "0 0 16 16"], ["width", "16"], ["height", "16"], ["aria-hidden", "true"]])
    svg.setAttribute(name, value);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICON);
  svg.appendChild(path);
  parent.appendChild(svg);
}

function newCell() {
  const cell = make("figure", "cell");
  const button = make("button", "picture", cell);
  button.type = "button";
  make("img", "", button).decoding = "sync";
  make("span", "hint", button);
  const save = make("button", "save", cell);
  save.type = "button";
  icon(save);
  make("figcaption", "", cell);
  return cell;
}

function fillCell(cell, item, captioned) {
  const [button, save, caption] = cell.children;
  const img = button.firstChild;
  cell.dataset.id = item.id;
  cell.dataset.recipe = item.recipe;
  cell.classList.toggle("classed", Boolean(item.label));
  colour(cell, item);
  set(button, "title", item.about);
  set(button, "aria-label", "Put on the shelf: " + item.about);
  set(save, "title", "Download this picture: " + item.about);
  set(save, "aria-label", "Download " + item.about);
  set(img, "alt", item.about);
  caption.textContent = captioned ? item.seed : "";
  caption.hidden = !captioned;
  if (item.src) set(img, "src", item.src);
  cell.classList.toggle("waiting", !item.src);
  cell.classList.toggle("blank", !img.getAttribute("src"));
}

function columnsFor(count) {
  for (const [most, columns] of [[1, 1], [2, 2], [3, 3], [4, 2], [12, 3], [16, 4], [30, 5], [42, 6]]) if (count <= most) return columns;
  return 8;
}

function layout(value) {
  const shared = value.rows.length > 1;
  const columns = shared ? value.columns.length : columnsFor(value.cells.length);
  grid.style.setProperty("--columns", columns);
  grid.classList.toggle("shared", shared);
  grid.classList.toggle("single", value.cells.length === 1);
  const cells = [...grid.querySelectorAll(".cell")];
  while (cells.length < value.cells.length) cells.push(newCell());
  cells.splice(value.cells.length).forEach((cell) => cell.remove());
  const wanted = [];
  if (shared) value.columns.forEach((seed) => {
    const head = make("div", "column-head");
    head.textContent = "seed " + seed;
    wanted.push(head);
  });
  value.cells.forEach((item, i) => {
    if (shared && i % columns === 0) {
      const row = value.rows[i / columns];
      const head = make("div", "row-head");
      make("span", "", head).textContent = row.label;
      colour(head, row);
      wanted.push(head);
    }
    fillCell(cells[i], item, !shared);
    wanted.push(cells[i]);
  });
  const shape = wanted.map((node) => node.className.split(" ")[0] + node.textContent).join("|");
  // Moving a node loses its focus, so the nodes are laid anew only where the sheet has another shape.
  if (shape.replace(/\d+/g, shared ? "" : "$&") !== grid.dataset.shape || grid.children.length !== wanted.length) {
    grid.replaceChildren(...wanted);
    grid.dataset.shape = shape.replace(/\d+/g, shared ? "" : "$&");
  } else if (shared) {
    grid.querySelectorAll(".column-head").forEach((head, i) => (head.textContent = "seed " + value.columns[i]));
  }
}

// With "Fit" on, the sheet is as wide as lets all its rows be seen without scrolling.
function fit() {
  if (!fitted || !grid.children.length) return grid.style.removeProperty("max-width");
  const columns = Number(grid.style.getPropertyValue("--columns"));
  const cells = grid.querySelectorAll(".cell").length;
  const rows = Math.ceil(cells / columns);
  const shelf = document.querySelector("#shelf")?.offsetHeight || 0;
  const top = grid.getBoundingClientRect().top + window.scrollY;
  const cell = Math.max(96, (window.innerHeight - shelf - top - 30) / rows - 12);
  grid.style.maxWidth = Math.round(columns * (cell + 10) + (grid.classList.contains("shared") ? 30 : 0)) + "px";
}

function setFit(on) {
  fitted = on;
  element.querySelector("[data-do=fit]").setAttribute("aria-pressed", String(on));
  remember("cocktail-fit", on ? "1" : "");
  fit();
}

function remember(key, value) {
  try { localStorage.setItem(key, value); } catch (error) { /* private window: not kept */ }
}

function recall(key) {
  try { return localStorage.getItem(key); } catch (error) { return null; }
}

function markShelved() {
  const shelved = new Set(window.cocktailShelf || []);
  grid.querySelectorAll(".cell").forEach((cell) => {
    const on = shelved.has(cell.dataset.id);
    cell.classList.toggle("shelved", on);
    cell.querySelector(".hint").textContent = on ? "On the shelf" : "To the shelf";
  });
}

function show() {
  const value = props.value;
  if (!value || !value.cells) return;
  section.classList.toggle("empty", Boolean(value.empty));
  bar.hidden = Boolean(value.empty);
  if (value.empty) {
    grid.replaceChildren();
    delete grid.dataset.shape;
    note.textContent = value.empty;
    status.textContent = "";
    return;
  }
  note.textContent = value.note;
  status.textContent = value.status;
  section.dataset.recipe = value.sheet;
  layout(value);
  markShelved();
  fit();
}

function pixels(mode) {
  section.classList.toggle("exact", mode === "exact");
  element.querySelectorAll("[data-pixels]").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.pixels === mode)));
  remember("cocktail-pixels", mode);
}

element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const cell = button.closest(".cell");
  if (button.dataset.pixels) pixels(button.dataset.pixels);
  else if (button.dataset.do === "fit") setFit(!fitted);
  else if (button.dataset.do === "sheet") trigger("download", { recipe: section.dataset.recipe });
  else if (button.classList.contains("save")) trigger("download", { recipe: cell.dataset.recipe });
  else if (cell) trigger("select", { recipe: cell.dataset.recipe });
});

// A PNG dropped on the pictures goes the way of the "Open a picture" button.
["dragover", "dragleave", "drop"].forEach((name) => element.addEventListener(name, (event) => {
  if (![...(event.dataTransfer?.types || [])].includes("Files")) return;
  event.preventDefault();
  section.classList.toggle("dropping", name === "dragover");
  if (name !== "drop") return;
  const input = document.querySelector("#open-picture")?.previousElementSibling;
  if (input?.type !== "file" || !event.dataTransfer.files.length) return;
  input.files = event.dataTransfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}));

pixels(recall("cocktail-pixels") || "smooth");
document.addEventListener("cocktail:shelf", () => { markShelved(); fit(); });
window.addEventListener("resize", fit);
watch("value", show);
show();
setFit(recall("cocktail-fit") === "1");
