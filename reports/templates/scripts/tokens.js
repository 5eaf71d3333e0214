"use strict";
// An answer token by token, marked by how far the two models are apart. Each step has a line of its own thickness, and
// the number is in the title, so that colour alone says nothing.

/** Steps of KL divergence, in nats; below the first nothing is marked. */
const KL_STEPS = [0.05, 0.2, 0.5, 1];

/** @param {number | null} kl */
const klStep = (kl) => (kl === null ? 0 : KL_STEPS.filter((step) => kl >= step).length);

/** @param {TokenRow[]} tokens */
function tokenNodes(tokens) {
  return tokens.map(([text, kl]) => {
    const title = kl === null ? "not known" : `KL ${kl} nats`;
    return element("span", { class: "token", "data-step": String(klStep(kl)), title }, text);
  });
}

/** What the lines mean. */
function tokenLegend() {
  const marks = KL_STEPS.map((step) =>
    element("span", { class: "token", "data-step": String(klStep(step)) }, `from ${step}`),
  );
  return ["Tokens by KL divergence in nats: ", ...marks.flatMap((mark) => [mark, " "])];
}
