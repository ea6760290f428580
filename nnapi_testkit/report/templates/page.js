"use strict";
(() => {
const { verdicts, tables, rows, details, target } = JSON.parse(
  document.getElementById("data").textContent);
// Columns of a row.
const ID = 0, OPERATION = 1, CELL = 2, LEVEL = 3, KIND = 4, VERDICT = 5, MARGIN = 6, COMPARED = 7,
  DEVICE = 8, ORACLE = 9, MICROS = 10;
const HEIGHT = 30;
const GROUPS = ["fail", "error", "other", "pass"];
const $ = (id) => document.getElementById(id);
const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};
const count = (number) => number.toLocaleString("en").replaceAll(",", " ");
// JSON has no infinity: such margins are strings.
const real = (value) => typeof value === "string"
  ? { inf: Infinity, "-inf": -Infinity }[value] ?? NaN : value;
const worse = (a, b) => Number.isNaN(a) || a > b;
const shown = (value) => Number.isFinite(value) ? String(Number(value.toPrecision(3)))
  : String(value).replace("Infinity", "∞");
const group = (row) => verdicts[row[VERDICT]][1];
const lower = rows.map((row, at) => (row[ID] + "\n" + (details[at] ?? "")).toLowerCase());

// What is chosen; mirrored in the address so that a link shows the same.
const state = { text: "", operation: "", cell: "", level: "", kind: "", device: "", verdict: "",
  sort: "", open: "" };
let visible = [];
let opener = -1;

const LISTS = { operation: [OPERATION, "Any operation"], cell: [CELL, "Any type"],
  kind: [KIND, "Any kind"], device: [DEVICE, "Any device"] };

function fillLists() {
  for (const [name, [, any]] of Object.entries(LISTS)) {
    const select = $(name);
    select.append(new Option(any, ""));
    for (const word of [...tables[name]].sort()) {
      select.append(new Option(word || "(unattributed)", "=" + word));
    }
    select.hidden = tables[name].length < 2;
  }
  $("level").append(new Option("Any level", ""));
  for (const level of [...new Set(rows.map((row) => row[LEVEL]))].sort((a, b) => a - b)) {
    $("level").append(new Option("Level " + level, "=" + level));
  }
}

function wanted(skip) {
  const tests = [];
  for (const [name, [column]] of Object.entries(LISTS)) {
    if (state[name] && name !== skip) {
      const at = tables[name].indexOf(state[name].slice(1));
      tests.push((row) => row[column] === at);
    }
  }
  if (state.level) {
    const level = Number(state.level.slice(1));
    tests.push((row) => row[LEVEL] === level);
  }
  if (state.verdict && skip !== "verdict") {
    const names = state.verdict.split(",");
    tests.push((row) => names.includes(verdicts[row[VERDICT]][0]));
  }
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length) tests.push((row, at) => words.every((word) => lower[at].includes(word)));
  return (row, at) => tests.every((test) => test(row, at));
}

const SORTS = {
  verdict: (a, b) => GROUPS.indexOf(group(a)) - GROUPS.indexOf(group(b)) || a[VERDICT] - b[VERDICT],
  id: (a, b) => (a[ID] < b[ID] ? -1 : a[ID] > b[ID] ? 1 : 0),
  level: (a, b) => a[LEVEL] - b[LEVEL],
  margin: (a, b) => {
    const [x, y] = [a, b].map((row) => Number.isNaN(real(row[MARGIN])) ? Infinity : real(row[MARGIN]));
    return x === y ? 0 : y - x;
  },
  elements: (a, b) => b[COMPARED] - a[COMPARED],
  time: (a, b) => b[MICROS] - a[MICROS],
};

function update() {
  const keep = wanted("");
  visible = [];
  rows.forEach((row, at) => { if (keep(row, at)) visible.push(at); });
  const [name, down] = (state.sort || "verdict").split("-");
  const by = SORTS[name] ?? SORTS.verdict;
  const sign = down ? -1 : 1;
  visible.sort((a, b) => sign * by(rows[a], rows[b]) || a - b);
  $("count").textContent = `${count(visible.length)} of ${count(rows.length)} cases`;
  for (const id of ["operation", "cell", "level", "kind", "device"]) $(id).value = state[id];
  if ($("text").value !== state.text) $("text").value = state.text;
  drawChips();
  drawMatrix();
  drawColumns();
  $("scroll").scrollTop = 0;
  $("space").style.height = Math.max(visible.length * HEIGHT, HEIGHT) + "px";
  drawRows();
  const parameters = Object.entries(state).filter(([, value]) => value);
  history.replaceState(null, "", parameters.length ? "#" + new URLSearchParams(parameters) : "#");
}

function set(changes) {
  Object.assign(state, changes);
  update();
}

function drawChips() {
  const keep = wanted("verdict");
  const counts = verdicts.map(() => 0);
  rows.forEach((row, at) => { if (keep(row, at)) counts[row[VERDICT]] += 1; });
  const order = verdicts.map((_, at) => at).sort((a, b) =>
    GROUPS.indexOf(verdicts[a][1]) - GROUPS.indexOf(verdicts[b][1]) || a - b);
  const present = new Set(rows.map((row) => row[VERDICT]));
  const chosen = state.verdict ? state.verdict.split(",") : [];
  const total = counts.reduce((sum, number) => sum + number, 0) || 1;
  const focused = document.activeElement?.dataset?.verdict;
  $("bar").replaceChildren(...order.filter((at) => counts[at]).map((at) => {
    const part = make("i", verdicts[at][1]);
    part.style.flex = `${counts[at] / total} 0 0`;
    part.title = `${verdicts[at][0]} ${counts[at]}`;
    return part;
  }));
  $("chips").replaceChildren(...order.filter((at) => present.has(at)).map((at) => {
    const [name, kind] = verdicts[at];
    const chip = make("button");
    chip.type = "button";
    chip.dataset.verdict = name;
    chip.append(make("span", "dot " + kind), `${name} ${count(counts[at])}`);
    chip.setAttribute("aria-pressed", String(chosen.includes(name)));
    chip.onclick = () => set({ verdict: (chosen.includes(name)
      ? chosen.filter((other) => other !== name) : [...chosen, name]).join(",") });
    return chip;
  }));
  if (focused) document.querySelector(`[data-verdict="${focused}"]`)?.focus();
}

function drawMatrix() {
  const keep = wanted("");
  const names = tables.operation, cells = tables.cell;
  const grid = new Map();
  const usedRows = new Set(), usedColumns = new Set();
  rows.forEach((row, at) => {
    if (!keep(row, at)) return;
    const key = row[OPERATION] * cells.length + row[CELL];
    let entry = grid.get(key);
    if (!entry) grid.set(key, entry = { cases: 0, fail: 0, error: 0, other: 0, pass: 0, margin: -1,
      levels: new Set() });
    entry.cases += 1;
    entry[group(row)] += 1;
    entry.levels.add(row[LEVEL]);
    if (row[COMPARED] && worse(real(row[MARGIN]), entry.margin)) entry.margin = real(row[MARGIN]);
    usedRows.add(row[OPERATION]);
    usedColumns.add(row[CELL]);
  });
  // The types that most operations have come first, so that little is out of sight.
  const users = cells.map((_, cell) => [...usedRows].filter((operation) =>
    grid.has(operation * cells.length + cell)).length);
  const columns = [...usedColumns].sort((a, b) =>
    users[b] - users[a] || (cells[a] < cells[b] ? -1 : 1));
  const head = make("tr");
  head.append(make("th", "", "Operation"), ...columns.map((at) => make("th", "", cells[at])));
  const body = [...usedRows].sort((a, b) => (names[a] < names[b] ? -1 : 1)).map((operation) => {
    const line = make("tr");
    const name = make("th", "", names[operation]);
    name.onclick = () => toggle({ operation: "=" + names[operation] });
    line.append(name, ...columns.map((cell) => {
      const entry = grid.get(operation * cells.length + cell);
      if (!entry) return make("td");
      const kind = entry.fail ? "fail" : entry.error ? "error" : entry.pass ? "pass" : "other";
      const box = make("td", "v-" + kind, `${entry.pass}/${entry.cases}`);
      const margin = entry.margin === -1 ? "" : shown(entry.margin);
      if (margin) box.append(make("small", "", margin));
      const levels = [...entry.levels].sort((a, b) => a - b).join(", ");
      box.title = `${names[operation]} ${cells[cell]}: ${entry.cases} cases, ${entry.pass} passed, `
        + `${entry.fail} failed, ${entry.error} errors, ${entry.other} others; `
        + `feature level ${levels}` + (margin ? `; worst margin ${margin}` : "");
      if (state.operation && state.cell) box.classList.add("chosen");
      box.onclick = () => toggle({ operation: "=" + names[operation], cell: "=" + cells[cell] });
      return box;
    }));
    return line;
  });
  const thead = make("thead"), tbody = make("tbody");
  thead.append(head);
  tbody.append(...body);
  $("matrix").replaceChildren(thead, tbody);
}

function toggle(choice) {
  const same = Object.entries(choice).every(([name, value]) => state[name] === value);
  set(same ? Object.fromEntries(Object.keys(choice).map((name) => [name, ""])) : choice);
}

function drawColumns() {
  const titles = { verdict: "Verdict", id: "Case", level: "Level", margin: "Margin",
    elements: "Elements", time: "Time" };
  const [current, down] = (state.sort || "verdict").split("-");
  $("columns").replaceChildren(...Object.entries(titles).map(([name, title]) => {
    const mark = name === current ? (down ? " ↑" : " ↓") : "";
    const box = make("div", name === "verdict" || name === "id" ? "" : "n");
    box.setAttribute("role", "columnheader");
    const button = make("button", "", title + mark);
    button.type = "button";
    button.onclick = () => set({ sort: name === current && !down ? name + "-up" : name });
    box.append(button);
    return box;
  }));
}

const time = (micros) => !micros ? "" : micros < 1000 ? `${micros} µs`
  : micros < 1e6 ? `${(micros / 1e3).toFixed(1)} ms` : `${(micros / 1e6).toFixed(2)} s`;

// Only what can be seen is in the document.
function drawRows() {
  const scroll = $("scroll");
  const first = Math.max(0, Math.floor(scroll.scrollTop / HEIGHT) - 10);
  const last = Math.min(visible.length, first + Math.ceil(scroll.clientHeight / HEIGHT) + 20);
  const lines = [];
  for (let place = first; place < last; place += 1) {
    const at = visible[place];
    const row = rows[at];
    const line = make("div", "row" + (row[ID] === state.open ? " chosen" : ""));
    line.setAttribute("role", "row");
    line.dataset.at = at;
    line.style.top = place * HEIGHT + "px";
    const id = make("span", "id", row[ID]);
    id.title = row[ID];
    const margin = row[COMPARED] ? shown(real(row[MARGIN])) : "";
    line.append(make("span", "verdict v-" + group(row), verdicts[row[VERDICT]][0]), id,
      make("span", "n", row[LEVEL]), make("span", "n", margin),
      make("span", "n", row[COMPARED] ? count(row[COMPARED]) : ""),
      make("span", "n", time(row[MICROS])));
    for (const box of line.children) box.setAttribute("role", "cell");
    lines.push(line);
  }
  if (!visible.length) lines.push(make("div", "empty", "No case matches the filters."));
  $("space").replaceChildren(...lines);
}

function quote(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : "'" + word.replaceAll("'", "'\"'\"'") + "'";
}

function show(at) {
  const row = rows[at];
  state.open = row ? row[ID] : "";
  $("detail").hidden = !row;
  document.querySelector(".cases").classList.toggle("split", Boolean(row));
  if (row) {
    opener = at;
    $("detail-id").textContent = row[ID];
    const facts = [
      ["Verdict", verdicts[row[VERDICT]][0]],
      ["Operation", `${tables.operation[row[OPERATION]]}, ${tables.cell[row[CELL]]}, level ${row[LEVEL]}`],
      ["Device", tables.device[row[DEVICE]] || "unattributed"],
      ["Evidence", row[COMPARED] ? `${count(row[COMPARED])} elements compared, worst error `
        + `${shown(real(row[MARGIN]))} times its bound` : "no element compared"],
      ["Oracle", tables.oracle[row[ORACLE]] || "none"],
    ];
    $("detail-facts").replaceChildren(...facts.flatMap(([name, value]) =>
      [make("dt", "", name), make("dd", "", value)]));
    const text = (details[at] ?? "").split("\n").slice(1).join("\n");  // the first names the case
    const again = text.split("\n").find((line) => line.startsWith("  again: "));
    $("detail-text").textContent = text.split("\n").filter((line) => line !== again).join("\n");
    $("repro").textContent = again ? again.slice(9)
      : `nnapi-testkit run ${quote(row[ID])}` + (target ? ` --target ${quote(target)}` : "");
  }
  drawRows();
  const parameters = Object.entries(state).filter(([, value]) => value);
  history.replaceState(null, "", parameters.length ? "#" + new URLSearchParams(parameters) : "#");
}

function step(by) {
  if (!visible.length) return;
  const place = visible.indexOf(opener);
  const next = Math.min(visible.length - 1, Math.max(0, place + by));
  show(visible[next]);
  reveal(next);
}

function reveal(place) {
  if (place < 0) return;
  const scroll = $("scroll"), top = place * HEIGHT;
  if (top < scroll.scrollTop) scroll.scrollTop = top;
  const bottom = top + HEIGHT - scroll.clientHeight;
  if (bottom > scroll.scrollTop) scroll.scrollTop = bottom;
}

function theme(name) {
  document.documentElement.dataset.theme = name;
}

theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
$("theme").onclick = () =>
  theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
let typing = 0;
$("text").oninput = () => {
  clearTimeout(typing);
  typing = setTimeout(() => set({ text: $("text").value }), 120);
};
for (const id of ["operation", "cell", "level", "kind", "device"]) {
  $(id).onchange = () => set({ [id]: $(id).value });
}
$("clear").onclick = () => set({ text: "", operation: "", cell: "", level: "", kind: "",
  device: "", verdict: "", sort: "" });
$("scroll").addEventListener("scroll", () => requestAnimationFrame(drawRows), { passive: true });
addEventListener("resize", drawRows);
$("space").onclick = (event) => {
  const line = event.target.closest("[data-at]");
  if (line) show(Number(line.dataset.at));
};
$("close").onclick = () => show(-1);
$("copy").onclick = async () => {
  try {
    await navigator.clipboard.writeText($("repro").textContent);
  } catch {
    getSelection().selectAllChildren($("repro"));  // no clipboard in pages opened as files
    document.execCommand("copy");
  }
  $("copy").textContent = "Copied";
  setTimeout(() => { $("copy").textContent = "Copy"; }, 1200);
};
addEventListener("keydown", (event) => {
  const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "/" && !inField) { event.preventDefault(); $("text").focus(); }
  else if (event.key === "Escape") show(-1);
  else if ((event.key === "ArrowDown" || event.key === "j") && !inField) {
    event.preventDefault(); step(1);
  } else if ((event.key === "ArrowUp" || event.key === "k") && !inField) {
    event.preventDefault(); step(-1);
  }
});

function fromAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(state)) state[name] = given.get(name) ?? "";
}
fillLists();
fromAddress();
const open = state.open;
update();
if (open) {
  const at = rows.findIndex((row) => row[ID] === open);
  show(at);
  reveal(visible.indexOf(at));
  $("coverage").open = false;  // who follows a link to a case wants to see it
}
addEventListener("hashchange", () => { fromAddress(); update(); });
})();
