// Twenty pictures to judge with + and −. All marks are told to the server with each new one, and when: they may come in
// another order, and so may the answers. The value says how things stand, and as of which mark.
const box = element.querySelector(".judge");
const marks = new Map();

function name(item) { return item.about; }

function mark(item, sign) {
  const now = marks.get(item.id)?.mark === sign ? 0 : sign;
  now ? marks.set(item.id, { label: item.label, seed: item.seed, mark: now }) : marks.delete(item.id);
  trigger("like", { at: performance.timeOrigin + performance.now(), marks: [...marks.values()] });
  paint();
}

function paint() {
  box.querySelectorAll(".judged").forEach((node) => {
    const sign = marks.get(node.dataset.id)?.mark || 0;
    node.classList.toggle("plus", sign > 0);
    node.classList.toggle("minus", sign < 0);
    node.querySelector(".yes").setAttribute("aria-pressed", String(sign > 0));
    node.querySelector(".no").setAttribute("aria-pressed", String(sign < 0));
  });
}

function tile(item, place) {
  const node = make("figure", "judged");
  node.dataset.id = item.id;
  node.tabIndex = 0;
  node.title = item.about;
  node.setAttribute("aria-label", item.about + ". Plus or minus key to judge, arrows to go on.");
  colour(node, item);
  const img = make("img", "", node);
  img.src = item.src;
  img.alt = item.about;
  const bar = make("div", "signs", node);
  const yes = make("button", "yes", bar, "+"), no = make("button", "no", bar, "−");
  yes.setAttribute("aria-label", "Positive: " + item.about);
  no.setAttribute("aria-label", "Negative: " + item.about);
  yes.tabIndex = no.tabIndex = -1;
  yes.addEventListener("click", () => mark(item, 1));
  no.addEventListener("click", () => mark(item, -1));
  node.addEventListener("keydown", (event) => {
    const tiles = [...box.querySelectorAll(".judged")];
    const go = (to) => tiles[to]?.focus();
    const columns = getComputedStyle(box.querySelector(".judge-grid")).gridTemplateColumns.split(" ").length;
    if (["+", "=", "p"].includes(event.key)) { mark(item, 1); go(place + 1); }
    else if (["-", "n"].includes(event.key)) { mark(item, -1); go(place + 1); }
    else if (event.key === "ArrowRight") go(place + 1);
    else if (event.key === "ArrowLeft") go(place - 1);
    else if (event.key === "ArrowDown") go(place + columns);
    else if (event.key === "ArrowUp") go(place - columns);
    else return;
    event.preventDefault();
  });
  return node;
}

let drawn = "", cleared = 0, asOf = 0;
function show() {
  const value = props.value;
  if (!value || !value.cells || (value.at && value.at < asOf)) return;
  asOf = value.at || asOf;
  const key = value.cells.map((cell) => cell.id).join();
  if (value.cleared && value.cleared !== cleared) marks.clear();  // once: a value may be shown again
  cleared = value.cleared || cleared;
  let grid = box.querySelector(".judge-grid");
  if (!grid) {
    const told = make("p", "judge-told", box);
    told.setAttribute("role", "status");
    grid = make("div", "judge-grid", box);
  }
  box.querySelector(".judge-told").textContent = value.told || "";
  if (key !== drawn) {
    grid.replaceChildren(...value.cells.map(tile));
    drawn = key;
  }
  paint();
}

watch("value", show);
show();
