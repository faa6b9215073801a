// A form made from a config: the value lives in the browser; `input` tells when a field was changed.
const box = element.querySelector(".options");

function control(field) {
  const row = make("label", "option " + field.kind);
  const input = make(field.kind === "choice" ? "select" : "input");
  const changed = props.value.changes[field.path];
  const value = changed ?? field.value;
  if (field.kind === "choice") field.choices.forEach((name) => make("option", "", input, name));
  if (field.kind === "check") Object.assign(input, { type: "checkbox", checked: Boolean(value) });
  else input.value = value;
  if (field.kind === "whole" || field.kind === "number") {
    Object.assign(input, { type: "number", step: field.kind === "whole" ? 1 : "any" });
    if (field.min !== null) input.min = field.min;
    if (field.max !== null) input.max = field.max;
  }
  input.name = field.path;
  make("span", "option-name", row, field.label);
  row.append(input);
  if (field.help) row.title = field.help;
  row.classList.toggle("changed", changed !== undefined);
  input.addEventListener("change", () => {
    const now = field.kind === "check" ? input.checked : input.value;
    const changes = { ...props.value.changes };
    if (String(now) === String(field.value)) delete changes[field.path];
    else changes[field.path] = now;
    row.classList.toggle("changed", field.path in changes);
    shown = changes;
    props.value = { ...props.value, changes };
    trigger("input", {});
  });
  return row;
}

let shown = null;
function show() {
  const value = props.value;
  if (!value || !value.groups || value.changes === shown) return;
  shown = value.changes;
  const open = new Set([...box.querySelectorAll("details[open]")].map((node) => node.dataset.title));
  const parts = [];
  if (value.budget?.length) {
    const budget = make("fieldset", "budget");
    make("legend", "", budget, "Thousands of pictures");
    budget.append(...value.budget.map(control));
    parts.push(budget);
  }
  for (const group of value.groups) {
    if (!group.fields.length) continue;
    const details = make("details", "option-group");
    details.dataset.title = group.title;
    details.open = open.has(group.title);
    make("summary", "", details, group.title + (group.help ? ": " + group.help : ""));
    const fields = make("div", "option-fields", details);
    fields.append(...group.fields.map(control));
    parts.push(details);
  }
  box.replaceChildren(...parts);
}

watch("value", show);
show();
