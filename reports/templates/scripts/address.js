"use strict";
// The state of a list in the address after "#", by names and never by positions, so that a link outlives a new page.

/**
 * The candidate's name, what is chosen, "suite/id" of a case.
 * @typedef {{cases: string, choice: Choice, case: string}} Place
 */

/**
 * @param {Place} place
 * @param {Choice} unasked What is shown without an address, and is left out of it.
 */
function addressOf(place, unasked) {
  const asked = new URLSearchParams({ cases: place.cases });
  for (const [name, value] of Object.entries(place.choice)) {
    if (value !== unasked[/** @type {keyof Choice} */ (name)]) asked.set(name, value);
  }
  if (place.case) asked.set("case", place.case);
  return `#${asked}`;
}

/**
 * Where the address points to; null, if to no list of cases.
 * @param {string} hash
 * @param {Choice} unasked
 * @returns {Place | null}
 */
function placeOf(hash, unasked) {
  const asked = new URLSearchParams(hash.slice(1));
  const cases = asked.get("cases");
  if (cases === null) return null;
  const choice = { ...unasked };
  for (const name of /** @type {(keyof Choice)[]} */ (Object.keys(choice))) {
    choice[name] = asked.get(name) ?? choice[name];
  }
  return { cases, choice, case: asked.get("case") ?? "" };
}
