"use strict";
// Hands out everything on the page as one JSON file: its data block, and the cases of every candidate.

/** Show the button that does it. */
function offerData() {
  for (const button of document.querySelectorAll("button[data-download]")) {
    if (!(button instanceof HTMLButtonElement)) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      button.disabled = true;
      download(new Blob(await everything(), { type: "application/json" }), "secateur-report.json");
      button.disabled = false;
    });
  }
}

/**
 * The file in pieces, since all cases as one text may be too long for one.
 * @returns {Promise<string[]>}
 */
async function everything() {
  const pieces = ['{"page":', part(document, "#data").textContent ?? "null", ',"cases":{'];
  const roots = [...document.querySelectorAll("[data-cases]")].map((root) => /** @type {HTMLElement} */ (root));
  for (const [at, root] of roots.entries()) {
    pieces.push(at ? "," : "", JSON.stringify(root.dataset.cases), ":[", ...(await casesOf(root)), "]");
  }
  return [...pieces, "}}"];
}

/**
 * @param {HTMLElement} root
 * @returns {Promise<string[]>}
 */
async function casesOf(root) {
  const { index, rows } = await openPayload(root);
  const pieces = [];
  for (let first = 0; first < index.id.length; first += index.size) {
    for (const [at, [messages, before, after]] of (await rows(first / index.size)).entries()) {
      const row = first + at;
      const known = {
        suite: index.suites[index.suite[row]],
        id: index.id[row],
        kind: index.kinds[index.kind[row]],
        tags: index.tag[row].map((tag) => index.tags[tag]),
        description: index.title[row],
        flaky: index.flaky[row] === 1,
        messages: messages.map(([role, content]) => ({ role, content })),
        before: answerData(before),
        after: answerData(after),
      };
      pieces.push((row ? "," : "") + JSON.stringify(known));
    }
  }
  return pieces;
}

/** @param {AnswerRow} answer */
const answerData = ([text, error, checks, tokens, score, tries]) => ({
  text,
  error,
  checks: checks.map(([type, state, reason, score]) => ({ type, state, reason, score })),
  tokens: tokens.map(([token, kl]) => ({ text: token, kl })),
  score,
  passes: tries && tries[0],
  repeats: tries ? tries[1] : 1,
});

/**
 * @param {Blob} blob
 * @param {string} name
 */
function download(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}
