"use strict";
// Draws one case: a line that is always there, and what is below it once it is opened.

/** Kind -> the word on its line. */
const KIND_WORDS = new Map([
  ["loss", "Loss"],
  ["gain", "Gain"],
  ["churn", "Churn"],
  ["fail", "Fail"],
  ["pass", "Pass"],
  ["dropped", "No pair"],
]);

/** @type {Record<string, [tone: string, mark: string]>} */
const CHECK_MARKS = {
  passed: ["pass", "✓ passed"],
  failed: ["regression", "✗ failed"],
  unchecked: ["inconclusive", "?"],
};

/**
 * @param {Index} index
 * @param {number} row
 */
function caseLine(index, row) {
  const kind = index.kinds[index.kind[row]];
  const suite = element("span", { class: "suite" }, index.suites[index.suite[row]]);
  const labels = element("span", { class: "labels" }, suite);
  labels.append(...index.tag[row].map((tag) => element("span", { class: "tag" }, index.tags[tag])));
  if (index.flaky[row]) labels.append(element("span", { class: "flaky" }, "flaky"));
  return element(
    "summary",
    {},
    element("span", { class: `kind ${kind}` }, KIND_WORDS.get(kind) ?? kind),
    element("span", { class: "what" }, index.title[row] || index.id[row]),
    labels,
  );
}

/**
 * @param {CaseRow} row
 * @param {boolean} byToken Mark tokens by their divergence where that is known, instead of words that changed.
 * @param {HTMLElement} link To this case alone.
 */
function caseBody(row, byToken, link) {
  const [turns, before, after] = row;
  const marked = wordDiff(before[0] ?? "", after[0] ?? "");
  const sides = element(
    "div",
    { class: "sides" },
    caseSide("Before", before, byToken && before[3].length ? tokenNodes(before[3]) : diffNodes(marked.before, "del")),
    caseSide("After", after, byToken && after[3].length ? tokenNodes(after[3]) : diffNodes(marked.after, "ins")),
  );
  return element("div", { class: "body" }, ...caseTurns(turns), sides, element("p", { class: "id" }, link));
}

/** @param {Turn[]} turns */
function caseTurns(turns) {
  if (!turns.length) return [];
  const lines = turns.map(([role, content]) =>
    element("div", {}, element("dt", {}, role), element("dd", { dir: "auto" }, content)),
  );
  return [element("dl", { class: "prompt" }, ...lines)];
}

/**
 * @param {string} title
 * @param {AnswerRow} answer
 * @param {(Node | string)[]} text
 */
function caseSide(title, answer, text) {
  const heading = element("h4", {}, `${title}${caseScore(answer[4])}${caseTries(answer[5])}`);
  const box = element("div", { class: "side" }, heading, caseAnswer(answer, text));
  if (answer[2].length) box.append(element("ul", { class: "checks" }, ...answer[2].map(caseCheck)));
  return box;
}

/**
 * @param {AnswerRow} answer
 * @param {(Node | string)[]} text
 */
function caseAnswer([said, error], text) {
  if (said) return element("p", { class: "answer", dir: "auto" }, ...text);
  const why = said === null ? `not answered${error ? `: ${error}` : ""}` : "(empty answer)";
  return element("p", { class: "answer soft" }, why);
}

/**
 * @param {Segment[]} parts
 * @param {"del" | "ins"} tag
 */
function diffNodes(parts, tag) {
  return parts.map(({ text, changed }) => (changed ? element(tag, {}, text) : text));
}

/** @param {CheckRow} row */
function caseCheck([type, state, reason, score]) {
  const [tone, mark] = CHECK_MARKS[state];
  const said = ` ${reason}${caseScore(score)}`;
  return element("li", { class: tone }, element("b", {}, mark), " ", element("code", {}, type), said);
}

/**
 * Said only where passed or failed does not say it.
 * @param {number | null} score
 */
function caseScore(score) {
  return score !== null && score > 0 && score < 1 ? `, score ${score.toFixed(2)}` : "";
}

/**
 * Said only where the case was asked several times.
 * @param {[passes: number, repeats: number] | null} tries
 */
function caseTries(tries) {
  return tries ? `, ${tries[0]} of ${tries[1]} pass` : "";
}
