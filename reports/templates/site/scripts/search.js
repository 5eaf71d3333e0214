"use strict";
// Looks through the names of the page's data.

const MOST_FOUND = 100;

function search() {
  const source = document.getElementById("data");
  const form = /** @type {HTMLFormElement | null} */ (document.querySelector("[data-search]"));
  const list = document.querySelector("[data-found]");
  if (!source || !form || !list) return;
  /** @type {[kind: string, text: string, file: string][]} */
  const entries = JSON.parse(source.textContent || "");
  const texts = entries.map(([kind, text]) => `${kind} ${text}`.toLowerCase());
  const input = /** @type {HTMLInputElement} */ (form.querySelector("input"));
  const output = /** @type {HTMLOutputElement} */ (form.querySelector("output"));
  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length ? entries.filter((_, at) => words.every((word) => texts[at].includes(word))) : [];
    list.replaceChildren(
      ...found.slice(0, MOST_FOUND).map(([kind, text, file]) => {
        const row = document.createElement("li");
        const name = document.createElement("span");
        const link = document.createElement("a");
        name.className = "soft";
        name.textContent = kind;
        link.textContent = text;
        link.href = file;
        row.append(name, link);
        return row;
      }),
    );
    const more = found.length > MOST_FOUND ? `, the first ${MOST_FOUND} are shown` : "";
    output.textContent = words.length ? `${found.length} found${more}` : "";
    history.replaceState(null, "", input.value ? `#${encodeURIComponent(input.value)}` : "#");
  };
  const read = () => {
    try {
      input.value = decodeURIComponent(location.hash.slice(1));
    } catch {
      input.value = "";
    }
    show();
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  input.addEventListener("input", show);
  addEventListener("hashchange", read);
  form.hidden = false;
  read();
  input.focus();
}

search();
