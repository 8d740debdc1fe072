"use strict";
const box = document.getElementById("search");
const rows = Array.from(document.querySelectorAll("#packages tbody tr"));
const shown = document.getElementById("shown");
function filter() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    const text = row.dataset.text;
    row.hidden = !words.every((word) => text.includes(word));
    if (!row.hidden) count += 1;
  }
  shown.textContent = count + " of " + rows.length + " packages";
}
if (box) { box.addEventListener("input", filter); filter(); }
window.addEventListener("hashchange", () => { if (box) { box.value = ""; filter(); } });
