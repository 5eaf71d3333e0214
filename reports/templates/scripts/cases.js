"use strict";
// The lists of cases: filters them, and opens the case that the address names.

/** @param {Element} root @param {string} selector @returns {string[]} */
const texts = (root, selector) => [...root.querySelectorAll(selector)].map((node) => node.textContent.trim());

/** @param {HTMLElement} list */
function filter(list) {
  const form = list.querySelector("form");
  const cases = [...list.querySelectorAll("details.case")];
  const known = cases.map((node) => ({
    node,
    kind: node.dataset.kind,
    suites: texts(node, ".suite"),
    tags: texts(node, ".labels .tag"),
    text: texts(node, ".what, .prompt dd, .answer, .checks, .id").join("\n").toLowerCase(),
  }));

  const apply = () => {
    const chosen = new FormData(form);
    const [kind, suite, tag] = ["kind", "suite", "tag"].map((name) => chosen.get(name) || "");
    const text = (chosen.get("text") || "").trim().toLowerCase();
    let shown = 0;
    for (const one of known) {
      const fits =
        (!kind || one.kind === kind) &&
        (!suite || one.suites.includes(suite)) &&
        (!tag || one.tags.includes(tag)) &&
        one.text.includes(text);
      one.node.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    form.querySelector("output").textContent = `${shown} of ${known.length} listed`;
  };

  const toggle = form.querySelector("[data-toggle]");
  toggle.addEventListener("click", () => {
    const open = toggle.textContent === "Open all";
    for (const node of cases) if (!node.hidden) node.open = open;
    toggle.textContent = open ? "Close all" : "Open all";
  });
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  (form.querySelector("[data-first]") || form.querySelector("[name=kind]")).checked = true;
  form.hidden = false;
  apply();
}

function openNamed() {
  const node = document.getElementById(location.hash.slice(1));
  if (!node || !node.matches("details.case")) return;
  node.hidden = false;
  node.open = true;
  node.scrollIntoView();
}
