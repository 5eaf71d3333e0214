"use strict";
// Asks the server of this page, again and again, how far the run is.

const ASK_EVERY_MS = 1500;

/**
 * @typedef {{what: string, how: string, done: number, total: number, seconds: number, left: number | null}} Piece
 * @typedef {{plan: string, state: string, line: string, job: string, file: string, memory_bytes: number,
 *   seconds: number, now: Piece | null, over: Piece[]}} Told
 */

/** @param {number} seconds @returns {string} */
function duration(seconds) {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

/** @param {string} name @param {string} value @returns {HTMLElement} */
function figure(name, value) {
  return made("div", "", [made("dt", name), made("dd", value)]);
}

/** @param {Piece} piece @returns {Node[]} */
function underWay(piece) {
  const bar = /** @type {HTMLProgressElement} */ (made("progress"));
  bar.max = Math.max(1, piece.total);
  bar.value = piece.done;
  bar.setAttribute("aria-label", `${piece.what}: ${piece.done} of ${piece.total}`);
  const figures = made("dl", "", [
    figure("Done", `${fixed(piece.done, 0)} of ${fixed(piece.total, 0)}`),
    figure("Speed", piece.done ? `${plain(piece.done / Math.max(piece.seconds, 0.1))} a second` : MISSING),
    figure("Time left", piece.left === null ? MISSING : duration(piece.left)),
  ]);
  figures.className = "figures";
  return [made("h2", piece.what), made("p", piece.how), bar, figures];
}

/** @param {Element} place @param {Told} told */
function show(place, told) {
  const lede = made("p", told.line);
  lede.className = "lede";
  if (told.file) {
    const link = /** @type {HTMLAnchorElement} */ (made("a", `job ${told.job}`));
    link.href = told.file;
    lede.append(" ", link);
  }
  const figures = made("dl", "", [
    figure("Plan", told.plan),
    figure("Since", duration(told.seconds)),
    figure("Memory", quantity(told.memory_bytes, "bytes")),
  ]);
  figures.className = "figures";
  const over = told.over.map((piece) =>
    made("li", `${piece.what}${piece.how ? `: ${piece.how}` : ""}, ${fixed(piece.total, 0)} in ${duration(piece.seconds)}`),
  );
  const list = made("ul", "", over.reverse());
  list.className = "notes";
  const pieces = made("section", "", told.now ? underWay(told.now) : []);
  pieces.className = "pieces";
  const done = over.length ? [made("h3", "Done"), list] : [];
  place.replaceChildren(lede, ...(told.plan ? [figures] : []), pieces, ...done);
}

async function follow() {
  const place = document.querySelector("[data-live]");
  if (!place || !location.protocol.startsWith("http")) return;
  for (;;) {
    try {
      const reply = await fetch("live.json", { cache: "no-store" });
      if (!reply.ok) return;
      show(place, /** @type {Told} */ (await reply.json()));
    } catch {
      place.replaceChildren(made("p", "The server of this page has ended: `secateur view` starts it again."));
    }
    await new Promise((resolve) => setTimeout(resolve, document.hidden ? 4 * ASK_EVERY_MS : ASK_EVERY_MS));
  }
}

follow();
