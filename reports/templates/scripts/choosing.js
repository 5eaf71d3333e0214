"use strict";
// Which cases a filter leaves, how many of each kind, and in which order. Knows nothing of the document.

/**
 * What a reader asked to see; an empty word asks for nothing.
 * @typedef {{kind: string, suite: string, tag: string, flaky: string, text: string, sort: string}} Choice
 */

/**
 * Whether a case fits everything but its kind.
 * @param {Index} index
 * @param {Choice} choice
 * @param {Set<number> | null} found Rows in which the text was found; null: no text was asked for.
 * @returns {(row: number) => boolean}
 */
function fitting(index, choice, found) {
  const [suite, tag] = [index.suites.indexOf(choice.suite), index.tags.indexOf(choice.tag)];
  return (row) =>
    (!choice.suite || index.suite[row] === suite) &&
    (!choice.tag || index.tag[row].includes(tag)) &&
    (!choice.flaky || index.flaky[row] === 1) &&
    (!found || found.has(row));
}

/**
 * @param {Index} index
 * @param {Choice} choice
 * @param {Set<number> | null} found
 * @returns {{rows: number[], counts: Map<string, number>}} The rows in order; how many fit by kind, "all" too.
 */
function chosen(index, choice, found) {
  const fits = fitting(index, choice, found);
  /** @type {Map<string, number>} */
  const counts = new Map();
  const rows = [];
  let all = 0;
  for (let row = 0; row < index.id.length; row++) {
    if (!fits(row)) continue;
    const kind = index.kinds[index.kind[row]];
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    all += 1;
    if (choice.kind === "all" || kind === choice.kind) rows.push(row);
  }
  counts.set("all", all);
  return { rows: sortedRows(index, rows, choice.sort), counts };
}

/**
 * Rows come sorted by kind, then size of change.
 * @param {Index} index
 * @param {number[]} rows
 * @param {string} sort "size", "place" or anything else for the order they have.
 */
function sortedRows(index, rows, sort) {
  const { score, distance, place } = index;
  if (sort === "place") return rows.sort((one, other) => place[one] - place[other]);
  if (sort !== "size") return rows;
  return rows.sort(
    (one, other) => score[other] - score[one] || distance[other] - distance[one] || place[one] - place[other],
  );
}

/**
 * Find the cases that have a text somewhere in them, in any case of letters.
 * @param {Payload} payload
 * @param {string} text
 * @param {(found: Set<number>, share: number) => boolean} report Told how far it is; false ends the search.
 */
async function searchCases(payload, text, report) {
  const { index, rows } = payload;
  const wanted = text.toLowerCase();
  /** @type {Set<number>} */
  const found = new Set();
  const chunks = Math.ceil(index.id.length / index.size);
  for (let chunk = 0; chunk < chunks; chunk++) {
    (await rows(chunk)).forEach((row, at) => {
      const number = chunk * index.size + at;
      if (textsOf(index, number, row).some((word) => word.toLowerCase().includes(wanted))) found.add(number);
    });
    if (!report(found, (chunk + 1) / chunks)) return;
  }
}

/**
 * Every text of a case that a reader can see.
 * @param {Index} index
 * @param {number} number
 * @param {CaseRow} row
 */
function textsOf(index, number, row) {
  const [turns, ...sides] = row;
  const answers = sides.flatMap(([text, error, checks]) => {
    return [text ?? "", error, ...checks.flatMap(([type, , reason]) => [type, reason])];
  });
  return [index.id[number], index.title[number], index.suites[index.suite[number]], ...turns.flat(), ...answers];
}
