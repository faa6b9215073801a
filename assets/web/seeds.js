// Seeds mean what they mean in Python: numpy.random.RandomState(seed).randn(n), rounded to float32.
// Mersenne Twister (Matsumoto, Nishimura, 1998), normal numbers by Marsaglia's polar method.
"use strict";

class RandomState {
  constructor(seed) {
    this.state = new Uint32Array(624);
    this.state[0] = seed >>> 0;
    for (let i = 1; i < 624; i++) {
      const last = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = (Math.imul(1812433253, last) + i) >>> 0;
    }
    this.position = 624;
    this.kept = null; // the method gives two numbers at a time
  }

  word() {
    if (this.position === 624) this.twist();
    let y = this.state[this.position++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  twist() {
    const s = this.state;
    for (let i = 0; i < 624; i++) {
      const y = (s[i] & 0x80000000) | (s[(i + 1) % 624] & 0x7fffffff);
      s[i] = s[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.position = 0;
  }

  uniform() { // 53 bits
    const high = this.word() >>> 5, low = this.word() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  normal() {
    if (this.kept !== null) {
      const kept = this.kept;
      this.kept = null;
      return kept;
    }
    for (;;) {
      const x = 2 * this.uniform() - 1, y = 2 * this.uniform() - 1, r = x * x + y * y;
      if (r >= 1 || r === 0) continue;
      const scale = Math.sqrt((-2 * Math.log(r)) / r);
      this.kept = scale * x;
      return scale * y;
    }
  }
}

// The latent of a seed: float32 [size].
function latent(seed, size) {
  const random = new RandomState(seed);
  return Float32Array.from({ length: size }, () => random.normal());
}

const MAX_SEED = 2 ** 32 - 1;

// "0-3, 8" as [0, 1, 2, 3, 8]; an Error says what is wrong.
function parseSeeds(text, limit) {
  const seeds = [];
  for (const part of text.trim().replace(/\s*-\s*/g, "-").split(/[,;\s]+/).filter(Boolean)) {
    const found = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(part);
    if (!found) throw new Error(`“${part}” is neither a seed nor a range. Write for example 0-5, or 3, 8.`);
    const first = Number(found[1]), last = found[2] === undefined ? first : Number(found[2]);
    if (Math.max(first, last) > MAX_SEED) throw new Error(`Seeds go from 0 to ${MAX_SEED}; found ${part}.`);
    if (last < first) throw new Error(`${part} runs backwards. Write ${last}-${first}.`);
    if (seeds.length + last - first + 1 > limit) throw new Error(`More than ${limit} seeds. Give fewer at a time.`);
    for (let seed = first; seed <= last; seed++) seeds.push(seed);
  }
  if (!seeds.length) throw new Error("No seed is given. Write for example 0-5, or 3, 8.");
  return seeds;
}
