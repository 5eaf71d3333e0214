"use strict";
// Hides the rows of a list that do not hold what is typed. The page is complete without it.

/** @param {HTMLFormElement} form */
function filterRows(form) {
  const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-row]")]);
  const texts = rows.map((row) => (row.textContent || "").toLowerCase());
  const output = /** @type {HTMLOutputElement} */ (form.querySelector("output"));
  const input = /** @type {HTMLInputElement} */ (form.querySelector("input"));
  form.addEventListener("submit", (event) => event.preventDefault());
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, at) => {
      row.hidden = !words.every((word) => texts[at].includes(word));
      shown += row.hidden ? 0 : 1;
    });
    output.textContent = words.length ? `${shown} of ${rows.length}` : "";
  });
  form.hidden = false;
}

document.querySelectorAll("[data-rows]").forEach((form) => filterRows(/** @type {HTMLFormElement} */ (form)));
