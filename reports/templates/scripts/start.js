"use strict";
// Begins, once all other scripts have declared what they have. The page is complete without them.

async function beginLists() {
  const roots = [...document.querySelectorAll("[data-cases]")].map((root) => /** @type {HTMLElement} */ (root));
  const lists = await Promise.all(roots.map(async (root) => new CaseList(root, await openPayload(root))));
  if (!lists.length) return;
  listenToKeys(lists);
  addEventListener("hashchange", () => lists.forEach((list) => list.go()));
  await Promise.all(lists.map((list) => list.begin()));
}

beginLists();
offerData();
