// Draws a sheet of pictures from its value and keeps the old picture of a cell until the new one is there.
const grid = element.querySelector(".sheet-grid");
const note = element.querySelector(".note");
const status = element.querySelector(".status");
const bar = element.querySelector(".tools");
const section = element.querySelector(".sheet");
let fitted = false;

function columnsFor(count) {
  for (const [most, columns] of [[1, 1], [2, 2], [3, 3], [4, 2], [12, 3], [16, 4], [30, 5], [42, 6]]) if (count <= most) return columns;
  return 8;
}

function head(name, item) {
  const node = make("div", name);
  colour(node, item);
  if (item.src) {
    const img = make("img", "", node);
    img.src = item.src;
    img.alt = item.about || item.label;
  }
  make("span", "", node).textContent = item.label;
  if (item.about) node.title = item.about;
  return node;
}

// One bar for each number: how far one picture is from the next.
function drawBars(values) {
  let bars = section.querySelector(".bars");
  if (!values?.length) return bars?.remove();
  if (!bars) note.after((bars = make("div", "bars")));
  const most = Math.max(...values) || 1;
  bars.replaceChildren(...values.map((value, i) => {
    const bar = make("span");
    bar.style.height = Math.max(4, (100 * value) / most) + "%";
    bar.title = `step ${i + 1}: ${value.toFixed(4)}`;
    return bar;
  }));
  bars.setAttribute("role", "img");
  bars.setAttribute("aria-label", `Lengths of ${values.length} steps, from ${Math.min(...values).toFixed(4)} to ${most.toFixed(4)}`);
}

function layout(value) {
  const columns = value.columns.length || value.across || columnsFor(value.cells.length);
  const headed = value.rows.length > 0;
  grid.style.setProperty("--columns", columns);
  grid.classList.toggle("shared", headed);
  grid.classList.toggle("pictured", headed && Boolean(value.rows[0].src));
  grid.classList.toggle("dense", columns > 5);
  grid.classList.toggle("single", value.cells.length === 1);
  const cells = [...grid.querySelectorAll(".cell")];
  while (cells.length < value.cells.length) cells.push(newCell());
  cells.splice(value.cells.length).forEach((cell) => cell.remove());
  const wanted = value.columns.map((item) => head("column-head", item));
  value.cells.forEach((item, i) => {
    if (headed && i % columns === 0) wanted.push(head("row-head", value.rows[i / columns]));
    fillCell(cells[i], item);
    wanted.push(cells[i]);
  });
  // Moving a node loses its focus, so the nodes are laid anew only where the sheet has another shape.
  const shape = wanted.map((node) => node.className.split(" ")[0]).join("|");
  if (shape !== grid.dataset.shape || grid.children.length !== wanted.length) {
    grid.replaceChildren(...wanted);
    grid.dataset.shape = shape;
  } else {
    wanted.forEach((node, i) => { if (!node.classList.contains("cell")) grid.children[i].replaceWith(node); });
  }
}

// A sheet of mixes follows a range of layers: the same recipes with other amounts, drawn without the queue.
const follow = latest(async (first, last) => {
  const { ref, amounts } = props.value.follow;
  const cells = [...grid.querySelectorAll(".cell")];
  const recipes = cells.map((cell) => {
    const recipe = JSON.parse(cell.dataset.recipe);
    recipe.edit.amounts = amounts.map((amount, layer) => (layer >= first && layer <= last ? amount : 0));
    return JSON.stringify(recipe);
  });
  const answer = await server.paint({ ref, recipes });
  status.textContent = answer.error || `${cells.length} pictures, ${answer.sec.toFixed(2)} s`;
  (answer.cells || []).forEach((item, i) => fillCell(cells[i], item));
  markShelved(grid);
});

document.addEventListener("cocktail:layers", (event) => {
  const { box, first, last } = event.detail, value = props.value;
  if (value?.follow && value.cells.length && document.getElementById(value.follow.layers)?.contains(box)) follow(first, last);
});

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
  note.hidden = !value.note;
  status.textContent = value.status;
  section.dataset.recipe = value.sheet;
  element.querySelector("[data-do=sheet]").hidden = !value.sheet;
  drawBars(value.bars);
  layout(value);
  markShelved(grid);
  fit();
}

element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.pixels) enlarge(section, button.dataset.pixels);
  else if (button?.dataset.do === "fit") setFit(!fitted);
  else if (button?.dataset.do === "sheet") trigger("download", { recipe: section.dataset.recipe });
  else clicked(event);
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

enlarge(section);
document.addEventListener("cocktail:shelf", () => { markShelved(grid); fit(); });
window.addEventListener("resize", fit);
watch("value", show);
show();
setFit(recall("cocktail-fit") === "1");
