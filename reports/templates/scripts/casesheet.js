"use strict";
// The cases of a list that are drawn: one sheet of them, so that a page of 100,000 cases stays light.

const SHEET = 50;

class Sheet {
  /**
   * @param {HTMLElement} root Of the list.
   * @param {Payload} payload
   * @param {(name: string) => string} addressOfCase "suite/id" -> address.
   */
  constructor(root, payload, addressOfCase) {
    this.root = root;
    this.payload = payload;
    this.addressOfCase = addressOfCase;
    this.place = part(root, ".sheet");
    /** @type {number[]} */
    this.rows = [];
    this.start = 0;
    for (const button of this.buttons()) button.addEventListener("click", () => this.turn(button.value));
  }

  /** @returns {HTMLButtonElement[]} */
  buttons() {
    return [...this.root.querySelectorAll(".turn button")].map((button) => /** @type {HTMLButtonElement} */ (button));
  }

  /** @returns {HTMLDetailsElement[]} */
  nodes() {
    return [...this.place.children].map((node) => /** @type {HTMLDetailsElement} */ (node));
  }

  /**
   * @param {number[]} rows All rows of the list, in order.
   * @param {number} [start] The first to draw.
   */
  show(rows, start = 0) {
    [this.rows, this.start] = [rows, start];
    const end = Math.min(start + SHEET, rows.length);
    this.place.replaceChildren(...rows.slice(start, end).map((row) => this.node(row)));
    part(this.root, ".turn").hidden = rows.length <= SHEET;
    part(this.root, ".turn .where").textContent = `${counted(start + 1)} to ${counted(end)} of ${counted(rows.length)}`;
    for (const button of this.buttons()) button.disabled = this.startAfter(button.value) === start;
  }

  /** @param {number} row */
  node(row) {
    const node = /** @type {HTMLDetailsElement} */ (element("details", { class: "case", "data-row": String(row) }));
    node.append(caseLine(this.payload.index, row));
    node.addEventListener("toggle", () => node.open && !node.querySelector(".sides") && this.fill(node));
    return node;
  }

  /**
   * Draw what is below the line of a case.
   * @param {HTMLDetailsElement} node
   */
  async fill(node) {
    const row = Number(node.dataset.row);
    const body = await this.body(row).catch((error) => element("p", { class: "body soft" }, error.message));
    node.querySelector(".body")?.remove();
    node.append(body);
  }

  /** @param {number} row */
  async body(row) {
    const { size } = this.payload.index;
    const told = (await this.payload.rows(Math.floor(row / size)))[row % size];
    const byToken = this.root.querySelector("[name=tokens]:checked") !== null;
    return caseBody(told, byToken, element("a", { href: this.addressOfCase(this.nameOf(row)) }, this.nameOf(row)));
  }

  /** Draw the open cases again. */
  refill() {
    for (const node of this.nodes()) {
      if (node.open) this.fill(node);
      else node.querySelector(".body")?.remove();
    }
  }

  /** @param {number} row */
  nameOf(row) {
    const { id, suite, suites } = this.payload.index;
    return `${suites[suite[row]]}/${id[row]}`;
  }

  /** @param {string} where */
  startAfter(where) {
    const last = Math.max(0, Math.ceil(this.rows.length / SHEET) - 1) * SHEET;
    if (where === "first") return 0;
    if (where === "last") return last;
    return Math.min(last, Math.max(0, this.start + (where === "next" ? SHEET : -SHEET)));
  }

  /** @param {string} where "first", "previous", "next" or "last". */
  turn(where) {
    this.show(this.rows, this.startAfter(where));
    this.focus(0);
  }

  /**
   * Go on to another case, on the next sheet where this one ends.
   * @param {number} by 1 or -1.
   */
  step(by) {
    const nodes = this.nodes();
    const at = nodes.findIndex((node) => node.contains(document.activeElement));
    const wanted = at < 0 ? 0 : at + by;
    if (wanted >= 0 && wanted < nodes.length) return this.focus(wanted);
    const where = by > 0 ? "next" : "previous";
    if (this.startAfter(where) === this.start) return;
    this.show(this.rows, this.startAfter(where));
    this.focus(by > 0 ? 0 : this.nodes().length - 1);
  }

  /** @param {number} at */
  focus(at) {
    const line = this.nodes()[at]?.children[0];
    if (line instanceof HTMLElement) line.focus();
  }

  /**
   * Open one case of the rows, on its sheet.
   * @param {number} row
   */
  reveal(row) {
    const at = this.rows.indexOf(row);
    this.show(this.rows, at - (at % SHEET));
    this.nodes()[at % SHEET].open = true;
    this.focus(at % SHEET);
  }

  /** @param {number} first How many. */
  open(first) {
    for (const node of this.nodes().slice(0, first)) node.open = true;
  }

  /** Open all cases of the sheet, or close them if all are open. */
  toggle() {
    const nodes = this.nodes();
    const open = !nodes.every((node) => node.open);
    for (const node of nodes) node.open = open;
  }
}
