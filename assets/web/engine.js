// The model in the browser: latents to codes to pictures, by onnxruntime-web on one thread of WebAssembly.
// Everything comes from scripts beside the page (model.js, runtime.js), so that the page works without a server too.
"use strict";

// Base64 of gzip to bytes.
async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

class Model {
  // Opens what the scripts hold, and lets go of their text.
  static async open() {
    if (typeof DecompressionStream === "undefined" || typeof WebAssembly === "undefined") {
      throw new Error("This browser is too old for the page: it needs WebAssembly and DecompressionStream. Update it.");
    }
    const runtime = window.COCKTAIL_RUNTIME, kept = window.COCKTAIL_MODEL;
    if (!runtime || !kept || typeof ort === "undefined") {
      throw new Error("A file of the page is missing. Copy the whole folder again.");
    }
    delete window.COCKTAIL_RUNTIME;
    ort.env.logLevel = "error";
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = (await unpack(runtime.wasm)).buffer;
    ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(new Blob([runtime.glue], { type: "text/javascript" })) };
    const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all" };
    const sessions = [];
    for (const text of [kept.mapping, kept.synthesis]) {
      sessions.push(await ort.InferenceSession.create(await unpack(text), options));
    }
    window.COCKTAIL_MODEL = { info: kept.info };
    return new Model(kept.info, ...sessions);
  }

  constructor(info, mapping, synthesis) {
    Object.assign(this, info, { mapping, synthesis, codes: new Map(), last: Promise.resolve() });
  }

  // onnxruntime takes one picture at a time.
  enqueue(work) {
    const done = this.last.then(work);
    this.last = done.catch(() => {});
    return done;
  }

  // The w+ code of a seed and class (number, or null): Float32Array [num_ws * w_dim].
  async map(seed, label, psi) {
    const key = `${seed} ${label} ${psi}`;
    if (!this.codes.has(key)) {
      const feeds = { z: new ort.Tensor("float32", latent(seed, this.z_dim), [1, this.z_dim]),
                      psi: new ort.Tensor("float32", [psi], [1]) };
      if (this.classes.length) {
        const hot = new Float32Array(this.classes.length);
        hot[label] = 1;
        feeds.c = new ort.Tensor("float32", hot, [1, hot.length]);
      }
      const found = await this.enqueue(() => this.mapping.run(feeds));
      if (this.codes.size >= 500) this.codes.delete(this.codes.keys().next().value);
      this.codes.set(key, found.ws.data);
    }
    return this.codes.get(key);
  }

  // The picture of a code as ImageData, with the bytes that the engine gives: 127.5 x + 128, clamped, truncated.
  async draw(ws) {
    const codes = new ort.Tensor("float32", ws, [1, this.num_ws, this.w_dim]);
    const { image } = await this.enqueue(() => this.synthesis.run({ ws: codes }));
    const [, channels, height, width] = image.dims, area = height * width;
    const picture = new ImageData(width, height);
    for (let i = 0; i < area; i++) {
      for (let k = 0; k < 3; k++) {
        const value = image.data[(channels === 1 ? 0 : k) * area + i];
        picture.data[4 * i + k] = Math.floor(Math.min(255, Math.max(0, 127.5 * value + 128)));
      }
      picture.data[4 * i + 3] = 255;
    }
    return picture;
  }

  // Milliseconds that one picture takes, the best of some.
  async speed(count = 5) {
    const ws = await this.map(0, this.classes.length ? 0 : null, 1);
    let best = Infinity;
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      await this.draw(ws);
      best = Math.min(best, performance.now() - start);
    }
    return best;
  }

  // The straight way from one code to another.
  between(a, b, t) {
    return a.map((value, i) => value + t * (b[i] - value));
  }

  // The layers first..last of `style`, the others of `content`.
  mix(content, style, first, last) {
    const ws = content.slice();
    ws.set(style.subarray(first * this.w_dim, (last + 1) * this.w_dim), first * this.w_dim);
    return ws;
  }
}
