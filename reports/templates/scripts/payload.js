"use strict";
// Reads the cases of one candidate: an index of all of them, and what they say in chunks, each read when it is wanted.
// reports/payload.py writes both.

/**
 * Columns over all cases, in the order of listing; `kind`, `suite` and `tag` are positions in the lists of names.
 * @typedef {{
 *   size: number, files: string[], kinds: string[], suites: string[], tags: string[],
 *   kind: number[], suite: number[], tag: number[][], flaky: number[], id: string[], title: string[],
 *   place: number[], score: number[], distance: number[],
 * }} Index
 *
 * @typedef {[role: string, content: string]} Turn
 * @typedef {[type: string, state: "passed" | "failed" | "unchecked", reason: string, score: number | null]} CheckRow
 * @typedef {[text: string, kl: number | null]} TokenRow
 * @typedef {[text: string | null, error: string, checks: CheckRow[], tokens: TokenRow[], score: number | null,
 *   tries: [passes: number, repeats: number] | null]} AnswerRow
 * @typedef {[turns: Turn[], before: AnswerRow, after: AnswerRow]} CaseRow
 *
 * @typedef {{index: Index, rows: (chunk: number) => Promise<CaseRow[]>}} Payload
 */

/** Chunks kept in memory; the least recently used go first. */
const KEPT_CHUNKS = 64;

/** @type {Map<string, string>} Texts of chunk files that have run and were not fetched from here yet. */
const arrivedChunks = new Map();

/**
 * What every chunk file calls.
 * @param {string} name
 * @param {string} text
 */
function keepChunk(name, text) {
  arrivedChunks.set(name, text);
}

/**
 * @param {HTMLElement} root
 * @returns {Promise<Payload>}
 */
async function openPayload(root) {
  /** @type {Index} */
  const index = await unpacked(part(root, "script.index").textContent ?? "");
  const embedded = [...root.querySelectorAll("script.chunk")];
  /** @type {Map<number, Promise<CaseRow[]>>} */
  const kept = new Map();

  /** @param {number} chunk */
  const read = async (chunk) =>
    unpacked(embedded.length ? embedded[chunk].textContent ?? "" : await chunkFile(index.files[chunk]));

  /** @param {number} chunk */
  const rows = (chunk) => {
    const found = kept.get(chunk) ?? read(chunk);
    kept.delete(chunk);
    kept.set(chunk, found);
    found.catch(() => kept.delete(chunk));
    if (kept.size > KEPT_CHUNKS) kept.delete(/** @type {number} */ (kept.keys().next().value));
    return found;
  };
  return { index, rows };
}

/**
 * Run a chunk's file: a script, since a page on disk may fetch nothing.
 * @param {string} name
 * @returns {Promise<string>}
 */
function chunkFile(name) {
  return new Promise((resolve, reject) => {
    const script = element("script", { src: name });
    script.addEventListener("load", () => {
      resolve(arrivedChunks.get(name) ?? "");
      arrivedChunks.delete(name);
      script.remove();
    });
    script.addEventListener("error", () => reject(new Error(`cannot load ${name}, which lies beside this page`)));
    document.head.append(script);
  });
}
