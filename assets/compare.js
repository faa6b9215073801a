// Models side by side: a column for each, a band for each class, the same seeds everywhere.
const section = element.querySelector(".compare");
const grid = element.querySelector(".compare-grid");

function head(item) {
  const node = make("div", "compare-head");
  node.style.setProperty("--own", item.colour);
  const name = make("h3", "", node, item.label);
  if (item.title) name.title = item.title;
  make("p", "", node, item.facts);
  return node;
}

function heading(band) {
  const node = make("h4", "compare-band" + (band.words ? " before" : ""));
  colour(node, band);
  make("span", "", node, band.label || (band.words ? "" : "samples"));
  if (band.words) make("small", "", node, band.words);
  return node;
}

// A picture that no recipe makes again is looked at only.
function still() {
  const cell = make("figure", "cell still");
  const frame = make("div", "picture", cell);
  make("img", "", frame).decoding = "sync";
  return cell;
}

function part(item) {
  const node = make("div", "compare-part");
  node.setAttribute("role", "group");
  if (item.words) make("p", "compare-none", node, item.words);
  item.cells.forEach((cell) => node.appendChild(cell.recipe ? newCell() : still()));
  return node;
}

const shapeOf = (value) => JSON.stringify([value.heads, value.bands.map((band) =>
  [band.label, band.words, band.parts.map((one) => [one.words, one.cells.map((cell) => Boolean(cell.recipe))])])]);

function show() {
  const value = props.value;
  if (!value || !value.bands) return;
  section.classList.toggle("empty", Boolean(value.empty));
  element.querySelector(".tools").hidden = Boolean(value.empty);
  element.querySelector(".note").textContent = value.empty || value.note;
  element.querySelector(".status").textContent = value.status;
  const shape = shapeOf(value);
  // The nodes stay where they are while the pictures come: one of them may have the focus.
  if (grid.dataset.shape !== shape) {
    const models = Math.max(1, value.heads.length);
    const most = Math.max(1, ...value.bands.flatMap((band) => band.parts.map((one) => one.cells.length)));
    grid.style.setProperty("--models", models);
    grid.style.setProperty("--across", Math.min(most, models < 4 ? 4 : 2));
    const nodes = value.heads.map(head);
    value.bands.forEach((band) => nodes.push(heading(band), ...band.parts.map(part)));
    grid.replaceChildren(...nodes);
    grid.dataset.shape = shape;
  }
  const parts = [...grid.querySelectorAll(".compare-part")];
  value.bands.flatMap((band) => band.parts.map((one) => [band, one])).forEach(([band, one], i) => {
    set(parts[i], "aria-label", [one.name, band.label, band.words].filter(Boolean).join(", "));
    const cells = parts[i].querySelectorAll(".cell");
    one.cells.forEach((item, n) => {
      if (item.recipe) return fillCell(cells[n], item);
      colour(cells[n], item);
      const img = cells[n].querySelector("img");
      set(img, "src", item.src);
      set(img, "alt", item.about);
      set(img, "title", item.about);
    });
  });
  markShelved(grid);
}

element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.pixels) enlarge(section, button.dataset.pixels);
  else clicked(event);
});
enlarge(section);
document.addEventListener("cocktail:shelf", () => markShelved(grid));
watch("value", show);
show();
