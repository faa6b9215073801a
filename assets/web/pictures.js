// Parts of the page: elements, colours of classes, pictures on canvases, sheets that fill cell by cell.
"use strict";

const $ = (selector, within = document) => within.querySelector(selector);

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made && name !== "style") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// One colour per class, the same as in the studio: its hue, and lightness and chroma by day and by night in style.css.
const HUES = { face: 32, cat: 300, dog: 82, car: 248 };

function hue(name) {
  return name in HUES ? HUES[name] : (crc32(name) * 137.508) % 360;
}

function crc32(text) {
  let crc = ~0;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

// Colours an element as its class; a model without classes has none.
function colour(made, name) {
  made.classList.toggle("classed", Boolean(name));
  if (name) made.style.setProperty("--hue", hue(name));
  return made;
}

function show(canvas, picture) {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("2d").putImageData(picture, 0, 0);
  canvas.parentElement.classList.remove("waiting");
}

function save(canvas, name) {
  const link = element("a", { href: canvas.toDataURL("image/png"), download: `${name.replace(/[^\w.-]+/g, "-")}.png` });
  link.click();
}

// One picture with its name below: a button where a click does something, and a second one that saves it.
function cell(title, name, click) {
  const canvas = element("canvas", { role: "img", "aria-label": title, width: 1, height: 1 });
  const holder = click ? element("button", { type: "button", className: "picture", title, onclick: click }, canvas)
                       : element("div", { className: "picture", title }, canvas);
  holder.classList.add("waiting");
  const keep = element("button", { type: "button", className: "save", title: "Save as PNG", textContent: "Save",
                                   onclick: () => save(canvas, title) });
  keep.setAttribute("aria-label", `Save ${title} as PNG`);
  return colour(element("div", { className: "cell" }, holder, keep), name);
}

function head(text, name, className) {
  return colour(element("div", { className }, element("span", { textContent: text })), name);
}

// A turn for the page between two pictures, so that it stays alive.
const pause = () => new Promise((resolve) => setTimeout(resolve));

// Draws into places one after the other; a newer call for the same sheet ends an older one.
// jobs: [canvas, async () => ImageData].
const turns = new Map();
async function fill(sheet, jobs) {
  const turn = (turns.get(sheet) ?? 0) + 1;
  turns.set(sheet, turn);
  sheet.setAttribute("aria-busy", "true");
  try {
    for (const [canvas, draw] of jobs) {
      const picture = await draw();
      if (turns.get(sheet) !== turn) return;
      show(canvas, picture);
      await pause();
    }
  } finally {
    if (turns.get(sheet) === turn) sheet.removeAttribute("aria-busy");
  }
}
