// What is being merged, asked for now and then while somebody looks at the page.
const button = element.querySelector(".merges");

async function look() {
  if (document.hidden) return;
  let answer;
  try { answer = await server.at_work({}); } catch (error) { return; }
  button.hidden = !answer.words;
  if (button.textContent !== answer.words) button.textContent = answer.words;
}

button.addEventListener("click", () => {
  const tab = [...document.querySelectorAll("#tabs button[role=tab]")].find((node) => node.textContent.trim() === "Merge");
  tab?.click();
});
document.addEventListener("visibilitychange", look);
setInterval(look, 5000);
look();
