"use strict";
// Where two lists of words are equal: the longest block first, then left and right of it (Ratcliff and Obershelp).

/** @typedef {{i: number, j: number, size: number}} Block Words from `i` in one list, from `j` in the other. */
/** @typedef {{start: number, end: number, otherStart: number, otherEnd: number}} Within */

/**
 * @param {string[]} words
 * @param {string[]} others
 * @returns {Block[]} In order.
 */
function matchingBlocks(words, others) {
  /** @type {Map<string, number[]>} */
  const places = new Map();
  others.forEach((word, j) => {
    const known = places.get(word);
    if (known) known.push(j);
    else places.set(word, [j]);
  });
  /** @type {Block[]} */
  const blocks = [];
  const ranges = [{ start: 0, end: words.length, otherStart: 0, otherEnd: others.length }];
  for (let range = ranges.pop(); range; range = ranges.pop()) {
    const block = longestBlock(words, places, range);
    if (!block.size) continue;
    blocks.push(block);
    const { start, end, otherStart, otherEnd } = range;
    ranges.push({ start, end: block.i, otherStart, otherEnd: block.j });
    ranges.push({ start: block.i + block.size, end, otherStart: block.j + block.size, otherEnd });
  }
  return blocks.sort((one, other) => one.i - other.i);
}

/**
 * The longest block in a range; of equally long ones the first in `words`, then the first in the other list.
 * @param {string[]} words
 * @param {Map<string, number[]>} places Word -> where the other list has it.
 * @param {Within} range
 * @returns {Block}
 */
function longestBlock(words, places, range) {
  const best = { i: range.start, j: range.otherStart, size: 0 };
  /** @type {Map<number, number>} Of blocks that end at the word before: end in the other list -> size. */
  let before = new Map();
  for (let i = range.start; i < range.end; i++) {
    /** @type {Map<number, number>} */
    const here = new Map();
    for (const j of places.get(words[i]) ?? []) {
      if (j < range.otherStart) continue;
      if (j >= range.otherEnd) break;
      const size = (before.get(j - 1) ?? 0) + 1;
      here.set(j, size);
      if (size > best.size) Object.assign(best, { i: i - size + 1, j: j - size + 1, size });
    }
    before = here;
  }
  return best;
}
