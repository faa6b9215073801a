// The page: three tabs over one model. What is asked is in `asked`; each tab draws from it.
"use strict";

const MAX_SEEDS = 64;
const STRIP = 7; // pictures along a way
const ALL = -1;
const asked = { label: ALL, seeds: [], psi: 1, way: [], mix: null };
let model;

function title(seed, label) {
  return `${model.classes.length ? model.classes[label] + ", " : ""}seed ${seed}`;
}

function called(label) {
  return model.classes[label] ?? "";
}

function fault(error) {
  const place = $("#fault");
  place.hidden = !error;
  place.textContent = error ? error.message ?? String(error) : "";
}

// Runs what a control asked for; an error is shown, and what was drawn stays.
function attempt(work) {
  return async () => {
    fault(null);
    try {
      await work();
    } catch (error) {
      fault(error);
    }
  };
}

// Sample

function sample() {
  asked.seeds = parseSeeds($("#seeds").value, MAX_SEEDS);
  const labels = model.classes.length ? (asked.label === ALL ? model.classes.map((_, i) => i) : [asked.label]) : [null];
  const sheet = $("#sample .sheet"), shared = labels.length > 1;
  sheet.className = shared ? "sheet shared" : "sheet";
  const columns = Math.min(asked.seeds.length, shared ? 12 : 6);
  sheet.style.setProperty("--columns", columns);
  $("#sample .note").textContent = (shared ? "Each column is one latent, drawn as every class. " : "") +
    "Click two pictures, then open Interpolate or Mix.";
  const cells = [], jobs = [];
  if (shared) {
    cells.push(element("div"), ...asked.seeds.map((seed) => head(`seed ${seed}`, "", "column-head")));
    sheet.style.setProperty("--columns", asked.seeds.length);
  }
  for (const label of labels) {
    if (shared) cells.push(head(called(label), called(label), "row-head"));
    for (const seed of asked.seeds) {
      const made = cell(title(seed, label), called(label), () => pick({ seed, label }));
      if (!shared) made.append(element("p", { className: "caption", textContent: title(seed, label) }));
      cells.push(made);
      jobs.push([$("canvas", made), async () => model.draw(await model.map(seed, label, asked.psi))]);
    }
  }
  sheet.replaceChildren(...cells);
  mark();
  return fill(sheet, jobs);
}

// A click takes the place of the older of the two ends of the way.
function pick(picked) {
  asked.way = [asked.way[1], picked];
  for (const side of [0, 1]) ends.way[side].set(asked.way[side]);
  mark();
  $("#sample .note").textContent = `${title(asked.way[0].seed, asked.way[0].label)} and ` +
    `${title(asked.way[1].seed, asked.way[1].label)} are chosen. Open Interpolate or Mix.`;
  ends.mix[0].set({ seeds: [asked.way[0].seed], label: asked.way[0].label });
  ends.mix[1].set({ seeds: [asked.way[1].seed], label: asked.way[1].label });
}

function mark() {
  const chosen = asked.way.map(({ seed, label }) => title(seed, label));
  for (const canvas of document.querySelectorAll("#sample canvas")) {
    const place = chosen.lastIndexOf(canvas.getAttribute("aria-label"));
    canvas.parentElement.dataset.end = place < 0 ? "" : "AB"[place];
  }
}

// Interpolate

const ends = { way: [], mix: [] };

async function between(t) {
  const [a, b] = await Promise.all(asked.way.map(({ seed, label }) => model.map(seed, label, asked.psi)));
  return model.draw(model.between(a, b, t));
}

function wayTitle(t) {
  const [a, b] = asked.way.map(({ seed, label }) => title(seed, label));
  return t === 0 ? a : t === 1 ? b : `${a} to ${b}, ${Math.round(100 * t)} %`;
}

async function position() {
  const t = Number($("#way").value), large = $("#interpolate .large");
  $("output[for=way]").textContent = t;
  $("canvas", large).setAttribute("aria-label", wayTitle(t));
  $(".picture", large).title = wayTitle(t);
  await fill(large, [[$("canvas", large), () => between(t)]]);
}

async function interpolate() {
  asked.way = ends.way.map((end) => end.get());
  const large = $("#interpolate .large"), strip = $("#interpolate .strip");
  if (!large.childElementCount) large.append(cell("", "", null));
  await position();
  const steps = Array.from({ length: STRIP }, (_, i) => i / (STRIP - 1));
  const cells = steps.map((t) => cell(wayTitle(t), "", () => {
    $("#way").value = t;
    attempt(position)();
  }));
  colour(cells[0], called(asked.way[0].label));
  colour(cells[STRIP - 1], called(asked.way[1].label));
  strip.replaceChildren(...cells);
  await fill(strip, cells.map((made, i) => [$("canvas", made), () => between(steps[i])]));
}

let playing = false;
async function play() {
  playing = !playing;
  $("#play").setAttribute("aria-pressed", playing);
  $("#play").textContent = playing ? "Stop" : "Play";
  const way = $("#way"), start = performance.now() - 1000 * Math.acos(1 - 2 * way.value);
  while (playing && !$("#interpolate").hidden) {
    // There and back in 2 pi seconds, slower at the ends.
    way.value = (1 - Math.cos((performance.now() - start) / 1000)) / 2;
    await position();
    await new Promise(requestAnimationFrame);
  }
  playing = false;
  $("#play").setAttribute("aria-pressed", false);
  $("#play").textContent = "Play";
}

// Mix

async function mix() {
  const [rows, columns] = ends.mix.map((end) => end.get());
  const first = Number($("#first").value), last = Number($("#last").value);
  for (const id of ["first", "last"]) $(`output[for=${id}]`).textContent = `${model.layer_resolutions[$("#" + id).value]} px`;
  for (const button of document.querySelectorAll("#groups button")) {
    button.setAttribute("aria-pressed", button.dataset.range === `${first} ${last}`);
  }
  if (first > last) throw new Error("The first layer is after the last one. Move one of the two sliders.");
  const sheet = $("#mix .sheet"), jobs = [];
  const named = (side, seed) => title(seed, side.label);
  const pictured = (side, seed) => {
    const made = cell(named(side, seed), called(side.label), null);
    made.classList.add("head");
    made.append(element("p", { className: "caption", textContent: named(side, seed) }));
    jobs.push([$("canvas", made), async () => model.draw(await model.map(seed, side.label, asked.psi))]);
    return made;
  };
  const cells = [element("div", { className: "corner" }), ...columns.seeds.map((seed) => pictured(columns, seed))];
  for (const row of rows.seeds) {
    cells.push(pictured(rows, row));
    for (const column of columns.seeds) {
      const made = cell(`${named(rows, row)}, with layers of ${named(columns, column)}`, called(rows.label), null);
      cells.push(made);
      jobs.push([$("canvas", made), async () => {
        const content = await model.map(row, rows.label, asked.psi);
        return model.draw(model.mix(content, await model.map(column, columns.label, asked.psi), first, last));
      }]);
    }
  }
  sheet.style.setProperty("--columns", columns.seeds.length + 1);
  sheet.replaceChildren(...cells);
  await fill(sheet, jobs);
}

// As the studio cuts the layers: coarse below 16 px, fine from 64 px, or thirds.
function layerGroups(sides) {
  const count = sides.length;
  let first = sides.filter((side) => side < 16).length, second = sides.filter((side) => side < 64).length;
  if (!(0 < first && first < second && second < count)) {
    [first, second] = [Math.max(1, Math.floor(count / 3)), Math.max(2, Math.floor((2 * count) / 3))];
  }
  return { coarse: [0, first - 1], middle: [first, second - 1], fine: [second, count - 1], "all but coarse": [first, count - 1] };
}

// A class and a seed, or several: {get, set}.
function chooser(place, text, id, several, value, changed) {
  const select = element("select", { id: `${id}-class` }, ...model.classes.map((label, i) => new Option(label, i)));
  const seeds = element("input", { id: `${id}-seed`, value, autocomplete: "off", spellcheck: false });
  seeds.setAttribute("aria-label", `${text}: ${several ? "seeds" : "seed"}`);
  select.setAttribute("aria-label", `${text}: class`);
  for (const control of [select, seeds]) control.addEventListener("change", attempt(changed));
  const parts = model.classes.length ? [select, seeds] : [seeds];
  place.append(element("div", { className: "end" }, element("span", { className: "label", textContent: text }),
                       element("div", { className: "joined" }, ...parts)));
  return {
    get() {
      const label = model.classes.length ? Number(select.value) : null;
      const found = parseSeeds(seeds.value, several ? 8 : 1);
      return several ? { seeds: found, label } : { seed: found[0], label };
    },
    set(given) {
      seeds.value = several ? given.seeds.join(", ") : given.seed;
      if (model.classes.length) select.value = given.label;
    },
  };
}

// Frame

const DRAW = { sample, interpolate, mix };
let tab = "sample";

function openTab(id) {
  tab = id;
  for (const other of Object.keys(DRAW)) {
    $("#" + other).hidden = other !== id;
    const button = $("#tab-" + other);
    button.setAttribute("aria-selected", other === id);
    button.tabIndex = other === id ? 0 : -1;
  }
  return attempt(DRAW[id])();
}

function classChoice() {
  const place = $("#classes");
  if (!model.classes.length) {
    place.parentElement.hidden = true;
    return;
  }
  const options = [[ALL, "All"], ...model.classes.map((label, i) => [i, label])];
  for (const [value, text] of model.classes.length > 1 ? options : options.slice(1)) {
    const input = element("input", { type: "radio", name: "class", checked: value === asked.label });
    input.addEventListener("change", attempt(() => ((asked.label = value), sample())));
    place.append(colour(element("label", { className: "chip" }, input, element("span", { textContent: text })),
                        value === ALL ? "" : text));
  }
}

function prepare() {
  const count = model.classes.length, second = count ? Math.min(1, count - 1) : null;
  asked.label = count === 1 ? 0 : ALL;
  asked.way = [{ seed: 0, label: count ? 0 : null }, { seed: 1, label: second }];
  classChoice();
  const places = { way: $("#interpolate .ends"), mix: $("#mix .ends") };
  ends.way = ["From", "To"].map((text, i) => chooser(places.way, text, `way-${i}`, false, String(i), interpolate));
  ends.mix = ["Rows", "Columns"].map((text, i) => chooser(places.mix, text, `mix-${i}`, true, i ? "3-6" : "0-2", mix));
  for (const pair of [ends.way, ends.mix]) if (count) pair[1].set({ ...pair[1].get(), label: second });
  $("#mix .note").textContent = "Each picture is its row, with the chosen layers of its column.";
  const groups = layerGroups(model.layer_resolutions);
  for (const id of ["first", "last"]) $("#" + id).max = model.num_ws - 1;
  [$("#first").value, $("#last").value] = groups["all but coarse"];
  for (const [text, range] of Object.entries(groups)) {
    const button = element("button", { type: "button", className: "chip", textContent: text, onclick: attempt(() => {
      [$("#first").value, $("#last").value] = range;
      return mix();
    }) });
    button.dataset.range = range.join(" ");
    $("#groups").append(button);
  }
  if (model.num_ws < 2) { // one code serves all layers: there is nothing to mix
    $("#tab-mix").disabled = true;
    $("#tab-mix").title = "This model has one code for all layers, so nothing can be mixed.";
  }
}

function connect() {
  for (const id of Object.keys(DRAW)) $("#tab-" + id).addEventListener("click", () => openTab(id));
  $("[role=tablist]").addEventListener("keydown", (event) => {
    const tabs = Object.keys(DRAW).filter((id) => !$("#tab-" + id).disabled);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
    $("#tab-" + next).focus();
    openTab(next);
  });
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
  $("#seeds").addEventListener("change", attempt(sample));
  $("#random").addEventListener("click", attempt(() => {
    const count = asked.seeds.length || 6, start = Math.floor(Math.random() * 1e6);
    $("#seeds").value = `${start}-${start + count - 1}`;
    return sample();
  }));
  $("#psi").addEventListener("input", attempt(() => {
    asked.psi = Number($("#psi").value);
    $("output[for=psi]").textContent = asked.psi;
    return sample();
  }));
  $("#way").addEventListener("input", attempt(position));
  $("#play").addEventListener("click", attempt(play));
  for (const id of ["first", "last"]) $("#" + id).addEventListener("input", attempt(mix));
}

async function start() {
  try {
    model = await Model.open();
    window.cocktail = model; // for whoever wants to try it in the console
    prepare();
    connect();
    $("#status").textContent = "Drawing …";
    await openTab("sample");
    const ms = await model.speed();
    $("#status").textContent = `${model.resolution} px, ${ms.toFixed(0)} ms a picture, all in this browser`;
    document.body.dataset.ready = "true";
  } catch (error) {
    $("#status").textContent = "The model could not be opened.";
    fault(error);
  }
}

start();
