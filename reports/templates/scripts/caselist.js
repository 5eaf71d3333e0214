"use strict";
// A list of cases: what is chosen of it, searched, counted, and kept in the address.

/** How long to wait for more letters before a search, in milliseconds. */
const TYPING_MS = 150;
/** How often to draw what a search has found so far, in milliseconds. */
const REDRAW_MS = 400;
/** Losses that are open at first. */
const OPEN_FIRST = 2;

class CaseList {
  /**
   * @param {HTMLElement} root
   * @param {Payload} payload
   */
  constructor(root, payload) {
    this.root = root;
    this.payload = payload;
    this.index = payload.index;
    this.name = root.dataset.cases ?? "";
    this.form = /** @type {HTMLFormElement} */ (part(root, "form.filters"));
    const kind = this.index.kinds[this.index.kind[0]] === "loss" ? "loss" : "all";
    /** What is shown unasked: losses, where there are any. */
    this.unasked = { kind, suite: "", tag: "", flaky: "", text: "", sort: "" };
    this.choice = this.unasked;
    this.sheet = new Sheet(root, payload, (name) => this.address(this.unasked, name));
    /** @type {Set<number> | null} Rows with the text; null: no text is asked for. */
    this.found = null;
    this.searches = 0;
  }

  /** Take over from the plain list, which is still what goes on paper, since a printer does not wait for texts. */
  async begin() {
    const plain = part(this.root, ".plain");
    plain.remove();
    addEventListener("beforeprint", () => this.isUnasked() && this.sheet.place.replaceWith(plain));
    addEventListener("afterprint", () => plain.replaceWith(this.sheet.place));
    this.form.hidden = false;
    this.root.querySelector(".steps")?.append(...tokenLegend());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", (event) => this.changed(/** @type {HTMLElement} */ (event.target)));
    part(this.form, "[data-toggle]").addEventListener("click", () => this.sheet.toggle());
    this.sheet.place.addEventListener("click", (event) => this.clicked(/** @type {HTMLElement} */ (event.target)));
    fillChoice(this.form, this.choice);
    this.draw();
    if (this.choice.kind === "loss") this.sheet.open(OPEN_FIRST);
    await this.go();
  }

  /** Whether a reader has chosen nothing. */
  isUnasked() {
    return JSON.stringify(this.choice) === JSON.stringify(this.unasked);
  }

  /** Show what the address asks for, if it asks this list. */
  async go() {
    const place = placeOf(location.hash, this.unasked);
    if (place?.cases !== this.name) return;
    this.unfold();
    await this.ask(place.choice);
    if (place.case) await this.reveal(place.case);
    else this.root.scrollIntoView();
  }

  /** Open what the list lies in. */
  unfold() {
    const fold = this.root.closest("details");
    if (fold) fold.open = true;
  }

  /** @param {HTMLElement} control That a reader changed. */
  async changed(control) {
    if (control.matches("[name=tokens]")) return this.byToken();
    const choice = readChoice(this.form);
    await this.choose(choice, TYPING_MS);
    this.remember("");
  }

  byToken() {
    part(this.root, ".steps").hidden = this.root.querySelector("[name=tokens]:checked") === null;
    this.sheet.refill();
  }

  /**
   * A line that is about to open is what the address names.
   * @param {HTMLElement} target
   */
  clicked(target) {
    const node = target.closest("summary")?.parentElement;
    if (node instanceof HTMLDetailsElement) this.remember(node.open ? "" : this.sheet.nameOf(Number(node.dataset.row)));
  }

  /** @param {string} name "suite/id" of a case, or nothing. */
  remember(name) {
    history.replaceState(null, "", this.address(this.choice, name));
  }

  /**
   * @param {Choice} choice
   * @param {string} name
   */
  address(choice, name) {
    return addressOf({ cases: this.name, choice, case: name }, this.unasked);
  }

  /**
   * Choose, and let the controls say so.
   * @param {Choice} choice
   */
  async ask(choice) {
    fillChoice(this.form, choice);
    await this.choose(choice);
  }

  /**
   * @param {Choice} choice
   * @param {number} [pause] How long to wait for another choice before a search, in milliseconds.
   */
  async choose(choice, pause = 0) {
    const another = choice.text !== this.choice.text;
    this.choice = choice;
    if (!another) return this.draw();
    const mine = ++this.searches;
    if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
    if (mine !== this.searches) return;
    this.found = null;
    if (choice.text) await this.find(mine);
    else this.draw();
  }

  /**
   * Find the rows with the text, and draw now and then what is found so far; a newer search ends this one.
   * @param {number} mine
   */
  async find(mine) {
    let drawn = performance.now();
    /** @param {Set<number>} found @param {number} share */
    const report = (found, share) => {
      if (mine !== this.searches) return false;
      this.found = found;
      if (share === 1 || performance.now() - drawn > REDRAW_MS) {
        this.draw(share);
        drawn = performance.now();
      }
      return true;
    };
    await searchCases(this.payload, this.choice.text, report).catch((error) => this.say(error.message));
  }

  /** @param {number} [searched] Share of the texts that were looked at. */
  draw(searched = 1) {
    const { rows, counts } = chosen(this.index, this.choice, this.found);
    showCounts(this.form, counts);
    const progress = searched < 1 ? `, searching: ${Math.round(100 * searched)} %` : "";
    this.say(`${counted(rows.length)} of ${counted(this.index.id.length)} cases${progress}`);
    this.sheet.show(rows);
  }

  /** @param {string} words */
  say(words) {
    part(this.form, "output").textContent = words;
  }

  /**
   * Open one case, whatever was chosen.
   * @param {string} name
   */
  async reveal(name) {
    const row = this.index.id.findIndex((_, at) => this.sheet.nameOf(at) === name);
    if (row < 0) return this.say(`no case ${name} here`);
    if (!this.sheet.rows.includes(row)) await this.ask({ ...this.unasked, kind: "all" });
    this.sheet.reveal(row);
  }
}
