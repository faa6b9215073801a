// Gradio's page can wait for ever: an answer to an event comes over one stream, which the server ends when nothing is
// owed. An event that is sent while that end is on its way finds the stream open, and nobody opens the next one. The
// event after it would; where none comes, the hidden button sends one. That one does not ask for another.
(() => {
  const RECENT = 5000; // ms: longer than a message is under way
  const plain = window.fetch;
  let open = false, joined = -Infinity;

  function ended() {
    open = false;
    if (performance.now() - joined < RECENT) setTimeout(() => document.querySelector("#wake")?.click(), 100);
    joined = -Infinity;
  }

  window.fetch = async (...args) => {
    const request = args[0] instanceof Request ? args[0] : { url: String(args[0]), ...args[1] };
    if (request.url.includes("/queue/data")) {
      open = true;
      request.signal?.addEventListener("abort", ended, { once: true });
    }
    const answer = await plain(...args);
    const own = String(request.body).slice(0, 40).includes('"data":["Wake"]');
    if (open && !own && request.url.includes("/queue/join")) joined = performance.now();
    return answer;
  };
})();
