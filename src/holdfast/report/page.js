"use strict";
(() => {
  const all = (s, of = document) => Array.from(of.querySelectorAll(s));
  const one = (id) => document.getElementById(id);
  const form = one("filters");
  const findings = all("details.finding").map((at) => ({ at, text: at.textContent.toLowerCase() }));
  const groups = all("details.group").map((at) => ({
    at,
    rows: all("tr.r", at).map((row) => ({ row, cells: all("td", row), text: (at.dataset.g + " " + row.textContent).toLowerCase() })),
  }));
  const matrix = new Map(all(".matrix tbody tr").map((row) => [row.dataset.g, row]));
  const columns = all("th[data-e], td[data-e], .mini[data-e]");
  const verdicts = all("input[name=v]");

  const apply = () => {
    const engine = one("e").value, group = one("g").value, severity = Number(one("s").value);
    const words = one("q").value.toLowerCase().split(/\s+/).filter(Boolean);
    const ticked = new Set(verdicts.filter((v) => v.checked).map((v) => v.value));
    const says = (text) => words.every((w) => text.includes(w));
    let cases = 0, lines = 0, total = 0;
    for (const column of columns) column.hidden = Boolean(engine) && column.dataset.e !== engine;
    for (const { at, text } of findings) {
      const d = at.dataset;
      const known = verdicts.some((v) => v.value === d.v);
      at.hidden = !((!engine || d.e === engine) && (!group || d.g === group) && Number(d.s) >= severity && (!known || ticked.has(d.v)) && says(text));
      cases += at.hidden ? 0 : 1;
    }
    for (const { at, rows } of groups) {
      let left = 0;
      for (const { row, cells, text } of rows) {
        const fits = cells.some((c) => c.dataset.v !== undefined && (!engine || c.dataset.e === engine) && ticked.has(c.dataset.v) && Number(c.dataset.s) >= severity);
        row.hidden = !(fits && (!group || at.dataset.g === group) && says(text));
        left += row.hidden ? 0 : 1;
      }
      at.hidden = left === 0;
      all(".n", at)[0].textContent = left === rows.length ? String(left) : left + " of " + rows.length;
      const row = matrix.get(at.dataset.g);
      if (row) row.hidden = at.hidden;
      lines += left;
      total += rows.length;
    }
    one("shown").textContent = cases + " of " + findings.length + " findings, " + lines + " of " + total + " recipes";
  };

  const reveal = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const at = id && one(id);
    if (at && at.tagName === "DETAILS") {
      if (at.hidden) { form.reset(); apply(); }
      at.open = true;
      at.scrollIntoView();
    }
  };

  form.hidden = false;
  one("fold").hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  const fold = (open) => groups.forEach(({ at }) => { if (!at.hidden) at.open = open; });
  one("open").addEventListener("click", () => fold(true));
  one("shut").addEventListener("click", () => fold(false));
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", () => findings.forEach(({ at }) => { at.open = true; }));
  apply();
  reveal();
})();
