"use strict";
// Filter with one style rule, because pytest-html redraws its table whenever a row is opened.
document.addEventListener("DOMContentLoaded", () => {
  const sheet = document.head.appendChild(document.createElement("style"));
  const selects = [...document.querySelectorAll(".fl-filter select")];
  const output = document.querySelector(".fl-filter output");
  const quoted = (value) => value.replace(/["\\]/g, "\\$&");
  const apply = () => {
    const active = selects.filter((select) => select.value);
    const conditions = active.map((select) => {
      const operator = select.name === "ac" ? "~=" : "=";
      return `[data-${select.name}${operator}"${quoted(select.value)}"]`;
    });
    sheet.textContent = active.length
      ? `#results-table > tbody:not(:has(td.col-number${conditions.join("")})) { display: none; }` : "";
    const all = document.querySelectorAll("#results-table td.col-number").length;
    const shown = document.querySelectorAll(`#results-table td.col-number${conditions.join("")}`).length;
    output.textContent = active.length ? `${shown} of ${all} criteria` : `${all} criteria`;
  };
  const choose = (name, value) => {
    selects.forEach((select) => { select.value = select.name === name ? value : ""; });
    apply();
    document.querySelector(".fl-filter").scrollIntoView({ block: "start" });
  };
  selects.forEach((select) => select.addEventListener("change", apply));
  document.querySelector("[data-fl-reset]")?.addEventListener("click", () => choose("", ""));
  document.querySelectorAll("[data-fl-verdict]").forEach((button) =>
    button.addEventListener("click", () => choose("verdict", button.dataset.flVerdict)));
  document.querySelectorAll("[data-fl-ac]").forEach((button) =>
    button.addEventListener("click", () => choose("ac", button.dataset.flAc)));

  // A link to a criterion also opens its evidence and resets the filter that may hide it.
  const reveal = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const row = id && document.getElementById(id);
    if (!row) return;
    selects.forEach((select) => { select.value = ""; });
    apply();
    if (row.querySelector(".extras-row.hidden")) row.querySelector("td.col-number").click();
    document.getElementById(id).scrollIntoView({ block: "center" });
  };
  window.addEventListener("hashchange", reveal);
  document.querySelectorAll('a[href^="#criterion-"]').forEach((link) =>
    link.addEventListener("click", () => setTimeout(reveal, 0)));
  apply();
  reveal();
});
