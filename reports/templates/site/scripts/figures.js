"use strict";
// Numbers as people read them, by the same rules as reports/figures.py.

const MISSING = "–";
const MINUS = "−";

/**
 * Of a number half way between two, Python takes the even one and toFixed the larger.
 * @param {number} size @param {number} digits @returns {string}
 */
function rounded(size, digits) {
  const text = size.toFixed(digits);
  const rest = size.toFixed(100).split(".")[1]?.slice(digits) || "";
  const odd = "13579".includes(text[text.length - 1]);
  return odd && /^50*$/.test(rest) ? (Number(text) - 10 ** -digits).toFixed(digits) : text;
}

/** @param {number} value @param {number} digits @returns {string} */
function fixed(value, digits) {
  const [whole, fraction] = rounded(Math.abs(value), digits).split(".");
  const text = whole.replace(/\B(?=(\d{3})+$)/g, ",") + (fraction ? `.${fraction}` : "");
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

/** @param {number} value @param {number} [significant] @returns {string} */
function plain(value, significant = 3) {
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e12) return fixed(value, 0);
  if (size >= 1e12 || size < 1e-4) {
    return value.toExponential(2).replace(/e([+-])(\d)$/, "e$10$2").replaceAll("-", MINUS);
  }
  return fixed(value, Math.max(0, significant - 1 - Math.floor(Math.log10(size))));
}

/** @param {number} value @param {string} unit @returns {string} */
function prefixed(value, unit) {
  for (const [power, prefix] of /** @type {[number, string][]} */ ([[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])) {
    if (Math.abs(value) >= power) {
      const scaled = value / power;
      return `${fixed(scaled, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(scaled)))))} ${prefix}${unit}`;
    }
  }
  return `${plain(value)} ${unit}`;
}

/** @param {number | null | undefined} value @param {string} unit @returns {string} */
function quantity(value, unit) {
  if (value === null || value === undefined) return MISSING;
  if (unit === "share") return `${fixed(100 * value, 1)} %`;
  if (unit === "bytes") return prefixed(value, "B");
  if (["parameters", "count", ""].includes(unit)) {
    return Math.abs(value) >= 1e6 ? prefixed(value, "").trimEnd() : plain(value);
  }
  if (unit === "cases" && value === 1) return "1 case";
  if (unit === "ratio") return Math.abs(value) < 10 ? fixed(value, 3) : plain(value, 4);
  return `${plain(value)} ${unit}`;
}

/** @param {number | null | undefined} value @param {string} unit @returns {string} */
function difference(value, unit) {
  if (value === null || value === undefined) return MISSING;
  return unit === "share" ? `${fixed(100 * value, 1)} points` : quantity(value, unit);
}

/**
 * An element with a text, and with others in it.
 * @param {string} tag @param {string} [text] @param {Node[]} [inside] @returns {HTMLElement}
 */
function made(tag, text = "", inside = []) {
  const node = document.createElement(tag);
  node.textContent = text;
  node.append(...inside);
  return node;
}
