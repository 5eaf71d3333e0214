"use strict";
// What changed between two texts, word by word: the same segments as reports/diff.py gives, only for what is shown.

/** @typedef {{text: string, changed: boolean}} Segment */
/** @typedef {{old: string, new: string, changed: boolean}} Stretch */

/** Blanks as Python's `\s` has them. */
const BLANK = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const WORD = new RegExp(`[${BLANK}]+|[\\p{L}\\p{N}_]+|[^]`, "gu");
const HAS_WORD = /[\p{L}\p{N}_]/u;

/** Words before times words after; above it the middle is marked whole. */
const LARGEST_DIFF = 1_000_000;

/**
 * @param {string} before
 * @param {string} after
 * @returns {{before: Segment[], after: Segment[]}}
 */
function wordDiff(before, after) {
  const [old, fresh] = [before.match(WORD) ?? [], after.match(WORD) ?? []];
  const stretches = withoutFlecks(stretchesOf(old, fresh));
  return {
    before: joinedSegments(stretches.map((stretch) => ({ text: stretch.old, changed: stretch.changed }))),
    after: joinedSegments(stretches.map((stretch) => ({ text: stretch.new, changed: stretch.changed }))),
  };
}

/**
 * Both texts cut where they part and meet.
 * @param {string[]} old
 * @param {string[]} fresh
 * @returns {Stretch[]}
 */
function stretchesOf(old, fresh) {
  const [before, after] = [old.join(""), fresh.join("")];
  if (before === after) return [{ old: before, new: after, changed: false }];
  if (old.length * fresh.length > LARGEST_DIFF) return [{ old: before, new: after, changed: true }];
  /** @type {Stretch[]} */
  const found = [];
  let [i, j] = [0, 0];
  for (const block of [...matchingBlocks(old, fresh), { i: old.length, j: fresh.length, size: 0 }]) {
    if (i < block.i || j < block.j) {
      found.push({ old: old.slice(i, block.i).join(""), new: fresh.slice(j, block.j).join(""), changed: true });
    }
    [i, j] = [block.i + block.size, block.j + block.size];
    const same = old.slice(block.i, i).join("");
    if (same) found.push({ old: same, new: same, changed: false });
  }
  return found;
}

/**
 * An equal stretch without a word between two changes counts as changed: a lone blank or comma reads as noise.
 * @param {Stretch[]} stretches
 */
function withoutFlecks(stretches) {
  const last = stretches.length - 1;
  return stretches.map((stretch, at) => ({
    ...stretch,
    changed: stretch.changed || (at > 0 && at < last && !HAS_WORD.test(stretch.old)),
  }));
}

/**
 * Join neighbours of one kind and leave empty ones out.
 * @param {Segment[]} parts
 */
function joinedSegments(parts) {
  /** @type {Segment[]} */
  const joined = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (!part.text) continue;
    if (last && last.changed === part.changed) last.text += part.text;
    else joined.push(part);
  }
  return joined;
}
