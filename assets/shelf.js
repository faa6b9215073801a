// Draws the shelf: names can be changed, picks dragged to another place, and a click uses a pick in the open tab.
const strip = element.querySelector(".shelf");
let dragged = null, renaming = null;

function edit(what, pick, more) {
  trigger("edit", { do: what, id: pick?.id, ...more });
}

function rename(node, pick) {
  renaming = pick.id;
  const box = make("input", "rename");
  box.value = pick.name;
  box.maxLength = 60;
  box.setAttribute("aria-label", "Name of " + pick.name);
  node.querySelector(".name").replaceWith(box);
  box.focus();
  box.select();
  let done = false;
  const end = (keep) => {
    if (done) return;
    done = true;
    renaming = null;
    if (keep && box.value.trim() !== pick.name) edit("rename", pick, { name: box.value });
    else show();
  };
  box.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") end(true);
    if (event.key === "Escape") end(false);
  });
  box.addEventListener("blur", () => end(true));
}

function keys(event, node, pick, place) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (event.altKey && step) edit("move", pick, { place: place + step });
  else if (step) [...strip.querySelectorAll(".pick .use")][place + step]?.focus();
  else if (event.key === "Delete") edit("remove", pick);
  else if (event.key === "F2") rename(node, pick);
  else return;
  event.preventDefault();
}

function item(pick, place) {
  const node = make("li", "pick");
  node.dataset.id = pick.id;
  colour(node, pick);
  node.draggable = true;
  const use = make("button", "use", node);
  use.title = pick.about + "\nClick: use it in this tab. Alt and arrows, or drag: move. F2: rename. Delete: remove.";
  use.setAttribute("aria-label", "Use " + pick.name + " in this tab: " + pick.about);
  const img = make("img", "", use);
  img.src = pick.src;
  img.alt = pick.about;
  img.draggable = false;
  const name = make("button", "name", node, pick.name);
  name.title = pick.name + "\nClick to rename.";
  name.setAttribute("aria-label", "Rename " + pick.name);
  const remove = make("button", "remove", node, "×");
  remove.setAttribute("aria-label", "Remove " + pick.name + " from the shelf");
  remove.title = "Remove from the shelf";
  use.addEventListener("click", () => document.dispatchEvent(new CustomEvent("cocktail:use", { detail: pick })));
  use.addEventListener("keydown", (event) => keys(event, node, pick, place));
  name.addEventListener("click", () => rename(node, pick));
  remove.addEventListener("click", () => edit("remove", pick));
  node.addEventListener("dragstart", () => (dragged = pick));
  node.addEventListener("dragover", (event) => dragged && event.preventDefault());
  node.addEventListener("drop", (event) => {
    if (!dragged) return;
    event.preventDefault();
    if (dragged.id !== pick.id) edit("move", dragged, { place });
    dragged = null;
  });
  return node;
}

function tool(text, title, off, action) {
  const node = make("button", "tool", null, text);
  node.title = title;
  node.disabled = off;
  node.addEventListener("click", action);
  return node;
}

function tools(value) {
  const bar = make("div", "shelf-tools");
  const none = !value.picks.length;
  bar.append(
    tool("Undo", "Undo the last change of the shelf", !value.undo, () => edit("undo")),
    tool("Redo", "Do again what was undone", !value.redo, () => edit("redo")),
    tool("Save", "Save the shelf as a file: shelf.safetensors", none, () => trigger("download", { kind: "safetensors" })),
    tool("npz", "Save the codes for other StyleGAN tools: projected_w.npz", none, () => trigger("download", { kind: "npz" })),
    tool("Load", "Add the pictures of a file: a saved shelf, a picture saved here, or projected_w.npz", false, choose),
    tool("Clear", "Remove every picture from the shelf", none, () => edit("clear")),
  );
  bar.lastChild.classList.add("clear");
  return bar;
}

const chooser = make("input");
chooser.type = "file";
chooser.accept = ".safetensors,.npz,.png";
chooser.hidden = true;
chooser.id = "shelf-file";
chooser.setAttribute("aria-label", "Shelf file");
chooser.addEventListener("change", () => { if (chooser.files.length) read(chooser.files[0]); chooser.value = ""; });

function choose() { chooser.click(); }

function read(file) {
  const reader = new FileReader();
  reader.onload = () => trigger("upload", { name: file.name, data: String(reader.result).split(",")[1] || "" });
  reader.readAsDataURL(file);
}

function show() {
  if (renaming) return;
  const value = props.value || { picks: [] };
  const known = new Set([...strip.querySelectorAll(".pick")].map((node) => node.dataset.id));
  const focused = document.activeElement?.closest?.("#shelf .pick")?.dataset.id;
  const nodes = [make("h2", "", null, "Shelf")];
  if (!value.picks.length) {
    nodes.push(make("p", "shelf-empty", null, "Empty. Click a picture to keep it here; only this browser sees your shelf."));
  } else {
    const list = make("ul", "picks");
    value.picks.forEach((pick, place) => list.appendChild(item(pick, place)));
    nodes.push(list);
  }
  nodes.push(tools(value), chooser);
  strip.replaceChildren(...nodes);
  const last = strip.querySelector(`[data-id="${value.last}"]`);
  if (last) {
    last.parentNode.scrollLeft = last.offsetLeft;
    last.classList.add(known.has(value.last) ? "again" : "new");
  }
  if (focused) strip.querySelector(`[data-id="${focused}"] .use`)?.focus();
  window.cocktailShelf = value.picks;
  document.dispatchEvent(new CustomEvent("cocktail:shelf"));
}

["dragover", "drop"].forEach((name) => element.addEventListener(name, (event) => {
  if (![...(event.dataTransfer?.types || [])].includes("Files")) return;
  event.preventDefault();
  if (name === "drop" && event.dataTransfer.files.length) read(event.dataTransfer.files[0]);
}));

watch("value", show);
show();
