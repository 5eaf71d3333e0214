"use strict";
// The controls of a list of cases: what is chosen in them, and the counts they show.

/**
 * @param {HTMLFormElement} form
 * @returns {Choice}
 */
function readChoice(form) {
  const asked = new FormData(form);
  const word = (/** @type {string} */ name) => String(asked.get(name) ?? "");
  return {
    kind: word("kind"),
    suite: word("suite"),
    tag: word("tag"),
    flaky: word("flaky"),
    text: word("text").trim(),
    sort: word("sort"),
  };
}

/**
 * @param {HTMLFormElement} form
 * @param {Choice} choice
 */
function fillChoice(form, choice) {
  for (const [name, value] of Object.entries(choice)) {
    const control = form.elements.namedItem(name);
    if (control && "value" in control) control.value = value;
  }
}

/**
 * @param {HTMLFormElement} form
 * @param {Map<string, number>} counts How many fit by kind, "all" too.
 */
function showCounts(form, counts) {
  for (const place of form.querySelectorAll("[data-count]")) {
    place.textContent = counted(counts.get(/** @type {HTMLElement} */ (place).dataset.count ?? "") ?? 0);
  }
}
