"use strict";
// Begins, once all other scripts have declared what they have. The page is complete without them.

document.querySelectorAll("[data-filter]").forEach(filter);
addEventListener("hashchange", openNamed);
openNamed();
