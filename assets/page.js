// Light and dark: as the system says, until the button says otherwise.
const button = element.querySelector(".appearance");
const KEY = "cocktail-appearance";
const read = () => { try { return localStorage.getItem(KEY); } catch (error) { return null; } };
const dark = () => document.body.classList.contains("dark");

function apply() {
  const wanted = read();
  if (wanted && dark() !== (wanted === "dark")) document.body.classList.toggle("dark", wanted === "dark");
  button.setAttribute("aria-pressed", String(dark()));
}

button.addEventListener("click", () => {
  const next = dark() ? "light" : "dark";
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  try {
    if (next === system) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch (error) { /* private window: not kept */ }
  document.body.classList.toggle("dark", next === "dark");
});

// Gradio sets the class again when the system changes its mind; the person's choice wins.
new MutationObserver(apply).observe(document.body, { attributes: true, attributeFilter: ["class"] });
apply();
