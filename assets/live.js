// Sliders that set numbers in recipes; the pictures follow, one request at a time, always the newest.
const section = element.querySelector(".live");
const grid = element.querySelector(".live-grid");
const note = element.querySelector(".note");
const status = element.querySelector(".status");
const panel = element.querySelector(".knobs");
const positions = new Map();
let playing = null, shown = 0;

function put(recipe, path, value) {
  let node = recipe;
  for (const key of path.slice(0, -1)) node = node[key];
  node[path.at(-1)] = value;
}

function bent(knob, x) {
  const table = knob.table;
  if (!table.length) return x;
  const place = ((x - knob.low) / (knob.high - knob.low)) * (table.length - 1);
  const low = Math.min(Math.floor(place), table.length - 2);
  return table[low] + (table[low + 1] - table[low]) * (place - low);
}

function wanted() {
  return props.value.recipes.map((recipe) => {
    const copy = structuredClone(recipe);
    for (const knob of props.value.knobs) {
      const x = positions.get(knob.id) ?? knob.start;
      for (const [path, times] of knob.sets) put(copy, path, bent(knob, x) * times);
    }
    return JSON.stringify(copy);
  });
}

function fill(cells) {
  const nodes = [...grid.children];
  while (nodes.length < cells.length) nodes.push(grid.appendChild(newCell()));
  nodes.splice(cells.length).forEach((node) => node.remove());
  cells.forEach((item, i) => fillCell(nodes[i], { ...item, caption: props.value.cells[i]?.caption }));
  grid.dataset.shown = ++shown;
  markShelved(grid);
}

const ask = latest(async () => {
  const value = props.value;
  if (!value.recipes.length) return;
  const start = performance.now();
  let answer;
  try {
    answer = await server.paint({ ref: value.ref, recipes: wanted() });
  } catch (error) {
    answer = { error: "The studio does not answer. Is it still running?" };
  }
  if (value.recipes !== props.value.recipes) return void ask();
  status.classList.toggle("fault", Boolean(answer.error));
  status.textContent = answer.error || `${Math.round(performance.now() - start)} ms`;
  if (answer.cells) fill(answer.cells);
  else stop();
});

function text(knob, x) {
  const digits = knob.step < 0.1 ? 2 : 1;
  return (knob.unit === "σ" && x > 0 ? "+" : "") + x.toFixed(digits) + knob.unit;
}

function slider(knob) {
  const row = make("div", "knob");
  const id = element.id + "-" + knob.id;
  const label = make("label", "", row, knob.label);
  label.htmlFor = id;
  if (knob.hint) label.title = knob.hint;
  const range = make("input", "", row);
  Object.assign(range, { type: "range", id, min: knob.low, max: knob.high, step: knob.step, value: positions.get(knob.id) ?? knob.start });
  const out = make("output", "", row, text(knob, Number(range.value)));
  out.htmlFor = id;
  const go = (x) => {
    positions.set(knob.id, x);
    range.value = x;
    out.textContent = text(knob, x);
    ask();
  };
  range.addEventListener("input", () => { stop(); go(Number(range.value)); });
  range.addEventListener("dblclick", () => go(knob.start));
  if (knob.play) row.prepend(player(knob, range, go));
  if (knob.resets) {
    const zero = make("button", "tool zero", row, "0");
    zero.title = "Back to 0";
    zero.setAttribute("aria-label", "Set " + knob.label + " back to 0");
    zero.addEventListener("click", () => go(0));
  }
  return row;
}

function player(knob, range, go) {
  const button = make("button", "play");
  const name = () => { button.textContent = playing ? "Pause" : "Play"; button.setAttribute("aria-pressed", String(Boolean(playing))); };
  button.addEventListener("click", () => {
    if (playing) { stop(); return name(); }
    let last = performance.now(), seen = shown;
    const seconds = 4;
    playing = setInterval(() => {
      if (seen === shown && performance.now() - last < 1500) return;
      const now = performance.now();
      seen = shown;
      let x = Number(range.value) + ((knob.high - knob.low) * Math.min(0.2, (now - last) / 1000)) / seconds;
      last = now;
      if (x >= knob.high) x = knob.low;
      go(Math.round(x / knob.step) * knob.step);
    }, 30);
    name();
  });
  name();
  button.refresh = name;
  return button;
}

function stop() {
  if (playing) clearInterval(playing);
  playing = null;
  panel.querySelectorAll(".play").forEach((button) => button.refresh());
}

function show() {
  const value = props.value;
  if (!value || !value.cells) return;
  section.classList.toggle("empty", Boolean(value.empty));
  note.textContent = value.empty || value.note;
  note.hidden = !note.textContent;
  if (!value.recipes.length) stop();
  const known = new Set(value.knobs.map((knob) => knob.id));
  [...positions.keys()].forEach((id) => known.has(id) || positions.delete(id));
  const focused = document.activeElement?.id;
  panel.replaceChildren(...value.knobs.map(slider));
  if (focused) document.getElementById(focused)?.focus();
  grid.style.setProperty("--columns", Math.min(value.cells.length, 4) || 1);
  fill(value.cells);
  status.textContent = "";
  // The sliders may stand elsewhere than at their start: the pictures that came are those of the start.
  if (value.knobs.some((knob) => positions.has(knob.id) && positions.get(knob.id) !== knob.start)) ask();
}

let drawn = null;
function changed() {
  if (props.value?.recipes === drawn) return;
  drawn = props.value?.recipes;
  show();
}

element.addEventListener("click", clicked);
document.addEventListener("cocktail:shelf", () => markShelved(grid));
watch("value", changed);
changed();
