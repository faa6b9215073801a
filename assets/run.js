// A run: how far it is, the same latents over time, what the log says; and the list of all runs.
const box = element.querySelector(".run");
const pictures = new Map();
let place = null, playing = null, open = "";

// What stands beside the samples: those of the other run at the same moment, else the plain average.
function beside(run, at) {
  const other = props.value.other, here = run.frames[at];
  if (other) {
    const same = other.frames.filter((frame) => frame.stage === here.stage);
    const frame = same.filter((frame) => frame.images <= here.images).at(-1) || same[0] || other.frames.at(-1);
    return { folder: other.folder, picture: frame.picture, words: other.name + ": " + frame.caption };
  }
  return run.average ? { folder: run.folder, picture: "average.png", words: "plain average" } : null;
}

const last = () => (props.value.run ? props.value.run.frames.length - 1 : 0);

async function fetched(run, picture) {
  const key = run + "/" + picture;
  if (!pictures.has(key)) {
    if (pictures.size > 200) pictures.clear();
    const answer = await server.frame({ run, picture });
    if (answer.error) return "";
    pictures.set(key, answer.src);
  }
  return pictures.get(key);
}

// One picture at a time, always the newest that was asked for.
const turn = latest(async () => {
  const run = props.value.run;
  if (!run || !run.frames.length) return;
  const at = place === null ? last() : Math.min(place, last());
  const source = await fetched(run.folder, run.frames[at].picture);
  const strip = box.querySelector(".strip-time");
  if (!strip || !source || props.value.run.folder !== run.folder) return;
  set(strip.querySelector("img"), "src", source);
  set(strip.querySelector("img"), "alt", "Samples: " + run.frames[at].caption);
  strip.querySelector("figcaption").textContent = run.frames[at].caption;
  const range = strip.querySelector("input");
  range.max = last();
  range.value = at;
  const side = beside(run, at), image = strip.querySelector(".strip-beside img");
  if (!side || !image) return;
  const shown = await fetched(side.folder, side.picture);
  if (shown) set(image, "src", shown);
  set(image, "alt", "Samples: " + side.words);
  strip.querySelector(".strip-beside span").textContent = side.words;
});

function stop() {
  if (playing) clearInterval(playing);
  playing = null;
  const button = box.querySelector(".strip-time .play");
  if (button) button.textContent = "Play";
}

function strip(run) {
  const figure = make("figure", "strip-time");
  const side = beside(run, last());
  const pair = make("div", side ? "strip-pair paired" : "strip-pair", figure);
  pair.classList.toggle("compared", Boolean(props.value.other));
  // What the pictures are is said before they have come.
  Object.assign(make("img", "", pair), { width: 512, alt: "Samples: " + run.frames[last()].caption });
  if (side) {
    const box = make("div", "strip-beside", pair);
    make("img", "", box).alt = "Samples: " + side.words;
    make("span", "", box);
  }
  const bar = make("div", "strip-bar", figure);
  const button = make("button", "tool play", bar, "Play");
  const range = make("input", "", bar);
  Object.assign(range, { type: "range", min: 0, max: last(), step: 1, value: last() });
  range.setAttribute("aria-label", "Samples over time");
  range.addEventListener("input", () => { stop(); place = Number(range.value) === last() ? null : Number(range.value); turn(); });
  button.addEventListener("click", () => {
    if (playing) return stop();
    button.textContent = "Stop";
    place = 0;
    turn();
    playing = setInterval(() => {
      place = place === null ? null : place + 1;
      if (place === null || place >= last()) { place = null; stop(); }
      turn();
    }, 500);
  });
  make("figcaption", "", figure);
  return figure;
}

function line(run, chosen) {
  const item = make("li", "run-line " + run.state);
  const button = make("button", "", item);
  button.setAttribute("aria-pressed", String(run.folder === chosen));
  make("span", "name", button, run.name);
  make("span", "words", button, run.words);
  const meter = make("span", "meter", button);
  meter.style.setProperty("--share", run.progress);
  button.addEventListener("click", () => { place = null; stop(); trigger("select", { folder: run.folder }); });
  return item;
}

function list(parent, name, lines) {
  if (!lines.length) return;
  const node = make("ul", name, parent);
  if (name === "alarms") node.setAttribute("role", "alert");
  lines.forEach((text) => make("li", "", node, text));
}

function whole(run) {
  const head = make("header", "run-head");
  const title = make("div", "run-title", head);
  make("h2", "", title, run.name);
  make("p", "run-state " + run.state, title, run.headline);
  const meter = make("div", "meter wide", head);
  Object.entries({ role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": "Progress of " + run.name,
    "aria-valuenow": Math.round(100 * run.progress) }).forEach(([name, value]) => meter.setAttribute(name, value));
  meter.style.setProperty("--share", run.progress);
  if (run.facts.length) make("p", "run-facts", head, run.facts.join(" · "));
  if (run.message) make("p", "run-message " + run.state, head, run.message);
  list(head, "alarms", run.alarms);
  list(head, "warnings", run.warnings);
  const stages = make("ol", "run-stages", head);
  for (const stage of run.stages) {
    const item = make("li", (stage.done ? "done " : "") + (stage.now ? "now" : ""), stages);
    make("span", "", item, stage.title);
    make("small", "", item, stage.kimg);
    make("span", "meter", item).style.setProperty("--share", stage.share);
  }
  return head;
}

function show() {
  const value = props.value;
  if (!value || !value.runs) return;
  const run = value.run;
  document.body.classList.toggle("has-run", Boolean(run));
  if (run?.folder !== open) {
    if (open && run && box.getBoundingClientRect().top < 0) element.scrollIntoView({ block: "start" });
    open = run?.folder || "";
    place = null;
    stop();
  }
  // The strip stays where it is: it may be in the hand, or playing.
  const old = box.querySelector(".strip-time");
  const shape = run && [run.folder, run.average, value.other?.folder].join("|");
  const keep = run && old && old.dataset.shape === shape;
  const parts = [];
  if (run) {
    parts.push(whole(run));
    if (run.frames.length) {
      const figure = keep ? old : strip(run);
      figure.dataset.shape = shape;
      parts.push(figure);
    }
  } else parts.push(make("p", "run-blank", null, value.blank));
  const logOpen = box.querySelector(".run-log")?.open;
  const others = make("nav", "run-list");
  others.setAttribute("aria-label", "All runs");
  if (value.runs.length) make("h3", "", others, "Runs");
  const lines = make("ul", "", others);
  lines.append(...value.runs.map((entry) => line(entry, run?.folder)));
  parts.push(others);
  if (run) {
    const log = make("details", "run-log");
    log.open = Boolean(logOpen);
    make("summary", "", log, "Log");
    if (run.features) make("p", "help", log, "Distances are embedded Fréchet distances; " + run.features + ".");
    make("pre", "", log, run.log.join("\n"));
    parts.push(log);
  }
  const focused = document.activeElement?.closest?.(".run-line") && document.activeElement.querySelector(".name")?.textContent;
  box.replaceChildren(...parts);
  if (focused) [...box.querySelectorAll(".run-line button")].find((b) => b.firstChild.textContent === focused)?.focus();
  turn();
}

watch("value", show);
show();
