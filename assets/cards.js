// Cards of models: a click on a button tells which model and what to do with it.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-ref]");
  if (!button) return;
  trigger("select", { ref: button.dataset.ref, do: button.dataset.do });
  if (button.dataset.do === "share") window.scrollTo({ top: 0, behavior: "smooth" });  // its panel is up there
});

// A file dropped anywhere on the tab goes the way of the box for files.
const tab = element.closest("#tab-library");
if (tab && !tab.dataset.drops) {
  tab.dataset.drops = "yes";
  ["dragover", "dragleave", "drop"].forEach((name) => tab.addEventListener(name, (event) => {
    const input = tab.querySelector("#library-drop input[type=file]");
    if (!input || ![...(event.dataTransfer?.types || [])].includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    tab.classList.toggle("dropping", name === "dragover");
    if (name !== "drop" || !event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }, true));
}
