"use strict";
// Keys for the lists of cases. They do nothing while a reader types, and can be switched off in the help.

/** @type {[string, string][]} */
const KEYS = [
  ["j, ↓", "next case (↓ only where a case has the focus)"],
  ["k, ↑", "case before"],
  ["Enter, Space", "open or close the case with the focus"],
  ["/", "search"],
  ["?", "this help"],
  ["Esc", "close this help"],
];

/** @type {Map<string, number>} */
const STEPS = new Map([
  ["j", 1],
  ["k", -1],
  ["ArrowDown", 1],
  ["ArrowUp", -1],
]);

/** @param {CaseList[]} lists */
function listenToKeys(lists) {
  const help = keyHelp();
  let current = lists[0];
  document.body.append(help);
  document.addEventListener("focusin", (event) => {
    current = lists.find((list) => list.root.contains(/** @type {Node} */ (event.target))) ?? current;
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || help.open || isTyping(event.target)) return;
    if (!help.querySelector("input:checked") || !pressed(event, current, help)) return;
    event.preventDefault();
  });
  for (const list of lists) part(list.form, "[data-help]").addEventListener("click", () => help.showModal());
}

/**
 * @param {KeyboardEvent} event
 * @param {CaseList} list
 * @param {HTMLDialogElement} help
 * @returns {boolean} Whether the key meant something.
 */
function pressed(event, list, help) {
  const step = STEPS.get(event.key);
  const onCase = list.sheet.place.contains(document.activeElement);
  const steps = step && (onCase || event.key.length === 1);
  if (steps || event.key === "/") list.unfold();
  if (steps) list.sheet.step(step);
  else if (event.key === "/") part(list.form, "[type=search]").focus();
  else if (event.key === "?") help.showModal();
  else return false;
  return true;
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof HTMLElement && target.matches("select, textarea, input:not([type=radio], [type=checkbox])");
}

function keyHelp() {
  const rows = KEYS.map(([key, does]) => element("div", {}, element("dt", {}, key), element("dd", {}, does)));
  const close = element("button", { type: "button" }, "Close");
  const on = element("label", {}, element("input", { type: "checkbox", checked: "" }), " Keys are on");
  const parts = [element("h3", {}, "Keys"), element("dl", {}, ...rows), on, close];
  const help = /** @type {HTMLDialogElement} */ (element("dialog", { class: "help", "aria-label": "Keys" }, ...parts));
  close.addEventListener("click", () => help.close());
  return help;
}
