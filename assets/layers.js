// A range of layers with two ends. The value lives in the browser; `input` tells when it changed.
const box = element.querySelector(".layers");

function change(first, last) {
  const [low, high] = first <= last ? [first, last] : [last, first];
  props.value = { ...props.value, first: low, last: high };
  mark();
  trigger("input", {});
  // A sheet that follows these layers draws at once, without the queue.
  document.dispatchEvent(new CustomEvent("cocktail:layers", { detail: { box, first: low, last: high } }));
}

function end(name, which, count) {
  const range = make("input", "end " + which);
  Object.assign(range, { type: "range", min: 0, max: count - 1, step: 1 });
  range.setAttribute("aria-label", name);
  // Moving one end past the other takes that one along, so that the range is never out of order.
  range.addEventListener("input", () => {
    const x = Number(range.value), value = props.value;
    if (which === "first") change(x, Math.max(x, value.last));
    else change(Math.min(x, value.first), x);
  });
  return range;
}

function show() {
  const value = props.value;
  if (!value || !value.resolutions) return;
  box.setAttribute("aria-label", value.label || "Layers");
  if (box.dataset.count !== String(value.resolutions.length)) {
    const count = value.resolutions.length;
    box.dataset.count = count;
    const head = make("div", "layers-head");
    make("span", "title", head, value.label);
    make("output", "", head);
    const track = make("div", "layers-track");
    track.append(make("div", "bar"), end("First layer", "first", count), end("Last layer", "last", count));
    const ticks = make("div", "layers-ticks");
    let seen = 0;
    value.resolutions.forEach((side) => { make("span", "", ticks, side === seen ? "·" : String(side)); seen = side; });
    const names = make("div", "layers-names");
    value.groups.forEach((group) => {
      const button = make("button", "", names, group.name);
      button.style.gridColumn = `${group.first + 1} / ${group.last + 2}`;
      button.title = "Only the " + group.name + " layers";
      button.addEventListener("click", () => change(group.first, group.last));
    });
    names.style.gridTemplateColumns = ticks.style.gridTemplateColumns = `repeat(${count}, 1fr)`;
    box.replaceChildren(head, make("p", "info-text", null, value.info), track, ticks, names);
  }
  mark();
}

function mark() {
  const { first, last, resolutions, groups } = props.value;
  const count = resolutions.length;
  const track = box.querySelector(".layers-track");
  track.querySelector(".first").value = first;
  track.querySelector(".last").value = last;
  const bar = track.querySelector(".bar");
  bar.style.left = (first / count) * 100 + "%";
  bar.style.width = ((last - first + 1) / count) * 100 + "%";
  const sides = resolutions[first] === resolutions[last] ? `${resolutions[first]} px` : `${resolutions[first]} to ${resolutions[last]} px`;
  box.querySelector("output").textContent = (first === last ? `layer ${first}` : `layers ${first}–${last}`) + ", " + sides;
  box.querySelectorAll(".layers-ticks span").forEach((tick, i) => tick.classList.toggle("on", i >= first && i <= last));
  box.querySelectorAll(".layers-names button").forEach((button, i) => button.setAttribute("aria-pressed", String(groups[i].first === first && groups[i].last === last)));
}

watch("value", show);
show();
