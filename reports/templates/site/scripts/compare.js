"use strict";
// Two runs of the page's data side by side. It subtracts and shows; what a difference means is not decided here.

/**
 * @typedef {[metric: number, value: number, items: number]} Value
 * @typedef {[id: string, label: string, file: string, values: Value[], original: boolean]} Run
 * @typedef {[metric: number, drop: number, low: number | null, high: number | null]} Drop
 * @typedef {[before: number, after: number, decision: string, drops: Drop[]]} Pair
 * @typedef {{metrics: [name: string, unit: string, higher: boolean][], runs: Run[], pairs: Pair[]}} Data
 */

/** @param {string} text @param {string} label @returns {HTMLElement} */
function cell(text, label) {
  const node = made("td", text);
  node.className = "number";
  node.dataset.label = label;
  return node;
}

/** @param {Run} run @param {string} word @returns {HTMLElement} */
function named(run, word) {
  const link = /** @type {HTMLAnchorElement} */ (made("a", run[0]));
  link.href = run[2];
  return made("p", `${word}: `, [link, made("span", ` ${run[1]}`)]);
}

/** @param {Run} old @param {Run} now @param {Pair | undefined} pair @returns {string} */
function said(old, now, pair) {
  if (pair) return `They were compared when they ran: ${pair[2]}. Again, or by other gates:`;
  if (old[4] && !now[4]) return "They were not compared when they ran. To judge them:";
  return "A verdict holds a candidate against an original; of this pair there are the numbers only.";
}

/** @param {Data} data @param {number} before @param {number} after @returns {Node[]} */
function sideBySide(data, before, after) {
  const [old, now] = [data.runs[before], data.runs[after]];
  const pair = data.pairs.find((one) => one[0] === before && one[1] === after);
  const drops = new Map((pair ? pair[3] : []).map((drop) => [drop[0], drop]));
  const sides = [old, now].map((run) => new Map(run[3].map((value) => [value[0], value])));
  const head = ["Metric", "Before", "After", "After − before", "Items", ...(pair ? ["Drop", "90 % interval"] : [])];
  const rows = data.metrics.flatMap(([name, unit, higher], number) => {
    const [a, b] = sides.map((side) => side.get(number));
    if (!a && !b) return [];
    const title = made("th", name, [made("small", higher ? "higher is better" : "lower is better")]);
    title.setAttribute("scope", "row");
    const items = [a, b].map((value) => (value && value[2] ? fixed(value[2], 0) : MISSING));
    const cells = [
      cell(quantity(a && a[1], unit), head[1]),
      cell(quantity(b && b[1], unit), head[2]),
      cell(a && b ? difference(b[1] - a[1], unit) : MISSING, head[3]),
      cell(items[0] === items[1] ? items[0] : items.join(" and "), head[4]),
    ];
    const drop = drops.get(number);
    if (pair) {
      const bounds = drop && drop[2] !== null && drop[3] !== null;
      cells.push(cell(difference(drop && drop[1], unit), head[5]));
      cells.push(cell(bounds ? `${difference(drop[2], unit)} to ${difference(drop[3], unit)}` : MISSING, head[6]));
    }
    return [made("tr", "", [title, ...cells])];
  });
  const heads = head.map((text, at) => {
    const node = made("th", text);
    node.setAttribute("scope", "col");
    node.className = at ? "number" : "";
    return node;
  });
  const table = made("table", "", [made("thead", "", [made("tr", "", heads)]), made("tbody", "", rows)]);
  table.className = "stack numbers";
  const wide = made("div", "", [table]);
  wide.className = "wide";
  wide.tabIndex = 0;
  wide.setAttribute("role", "group");
  wide.setAttribute("aria-label", "Both runs in numbers");
  const shown = [named(old, "Before"), named(now, "After"), made("p", said(old, now, pair))];
  return [...shown, ...(old[4] && !now[4] ? [made("pre", `secateur compare ${old[0]} ${now[0]}`)] : []), wide];
}

function compare() {
  const source = document.getElementById("data");
  const form = /** @type {HTMLFormElement | null} */ (document.querySelector("[data-compare]"));
  const result = document.querySelector("[data-result]");
  if (!source || !form || !result) return;
  /** @type {Data} */
  const data = JSON.parse(source.textContent || "");
  const numbers = new Map(data.runs.map((run, number) => [run[0], number]));
  const [before, after] = ["before", "after"].map((name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name)));
  form.querySelector("datalist")?.append(
    ...data.runs.map((run) => {
      const option = /** @type {HTMLOptionElement} */ (made("option", run[1]));
      option.value = run[0];
      return option;
    }),
  );
  const show = () => {
    const [a, b] = [before, after].map((input) => numbers.get(input.value.trim()));
    if (a === undefined || b === undefined) {
      result.replaceChildren(made("p", "Choose a run on each side, by its id; the lists offer all of them."));
      return;
    }
    result.replaceChildren(...sideBySide(data, a, b));
    history.replaceState(null, "", `#${encodeURIComponent(before.value.trim())}+${encodeURIComponent(after.value.trim())}`);
  };
  /** @returns {string[]} */
  const named = () => {
    try {
      return location.hash.slice(1).split("+").map(decodeURIComponent);
    } catch {
      return [];
    }
  };
  const read = () => {
    const both = named();
    const first = data.pairs[0];
    [before.value, after.value] = both.length === 2 ? both : first ? [data.runs[first[0]][0], data.runs[first[1]][0]] : ["", ""];
    show();
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", show);
  form.querySelector("[data-swap]")?.addEventListener("click", () => {
    [before.value, after.value] = [after.value, before.value];
    show();
  });
  addEventListener("hashchange", read);
  form.hidden = false;
  read();
}

compare();
