"use strict";
(() => {
const { verdicts, tables, order, columns, column, rows, honesty, details, target } = JSON.parse(
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
// Three digits; numbers far from 1 with an exponent.
const shown = (value) => !Number.isFinite(value) ? String(value).replace("Infinity", "∞")
  : value && (Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3) ? value.toExponential(2)
  : String(Number(value.toPrecision(3)));
const group = (row) => verdicts[row[VERDICT]][1];
const lower = rows.map((row, at) => (row[ID] + "\n" + (details[at] ?? "")).toLowerCase());

// What is chosen; mirrored in the address so that a link shows the same.
const state = { text: "", operation: "", cell: "", level: "", kind: "", device: "", verdict: "",
  sort: "", honest: "", open: "" };
let visible = [];
let opener = -1;

const LISTS = { operation: [OPERATION, "Any operation"], cell: [CELL, "Any type"],
  kind: [KIND, "Any kind"], device: [DEVICE, "Any device"] };

function fillLists() {
  for (const [name, [, any]] of Object.entries(LISTS)) {
    const select = $(name);
    select.append(new Option(any, ""));
    if (name === "cell") fillTypes(select);
    else for (const word of [...tables[name]].sort()) {
      select.append(new Option(word || "(unattributed)", "=" + word));
    }
    select.hidden = tables[name].length < 2;
  }
  $("level").append(new Option("Any level", ""));
  for (const level of [...new Set(rows.map((row) => row[LEVEL]))].sort((a, b) => a - b)) {
    $("level").append(new Option("Level " + level, "=" + level));
  }
}

// "^float32" stands for a matrix column: float32 and its pairs with other types.
function fillTypes(select) {
  columns.forEach((name, at) => {
    const members = order.filter((cell) => column[cell] === at);
    const all = name === "others" ? "all other types" : name + " and its pairs";
    if (members.length > 1) select.append(new Option(all, "^" + name));
    for (const cell of members) select.append(new Option(tables.cell[cell], "=" + tables.cell[cell]));
  });
}

function wanted(skip) {
  const tests = [];
  for (const [name, [place]] of Object.entries(LISTS)) {
    if (!state[name] || name === skip) continue;
    const word = state[name].slice(1);
    if (state[name][0] === "^") {
      const at = columns.indexOf(word);
      tests.push((row) => column[row[place]] === at);
    } else {
      const at = tables[name].indexOf(word);
      tests.push((row) => row[place] === at);
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
  drawHonesty();
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

const tally = () => ({ cases: 0, fail: 0, error: 0, other: 0, pass: 0, margin: -1,
  levels: new Set(), cells: new Map() });

function add(entry, row) {
  entry.cases += 1;
  entry[group(row)] += 1;
  entry.levels.add(row[LEVEL]);
  if (row[COMPARED] && worse(real(row[MARGIN]), entry.margin)) entry.margin = real(row[MARGIN]);
}

// Many operations: a column for each type of first tensor. One: its types by feature level.
function drawMatrix() {
  const keep = wanted("");
  const chosen = rows.filter((row, at) => keep(row, at));
  const used = [...new Set(chosen.map((row) => row[OPERATION]))];
  const { head, body } = used.length === 1 ? typesByLevel(chosen) : operationsByType(chosen, used);
  const thead = make("thead"), tbody = make("tbody"), line = make("tr");
  line.append(...head.map((title) => make("th", "", title)));
  thead.append(line);
  tbody.append(...body);
  $("matrix").replaceChildren(thead, tbody);
}

function grid(chosen, rowOf, columnOf) {
  const lines = new Map();
  for (const row of chosen) {
    const at = rowOf(row);
    if (!lines.has(at)) lines.set(at, new Map());
    for (const place of columnOf(row)) {
      const line = lines.get(at);
      if (!line.has(place)) line.set(place, tally());
      const entry = line.get(place);
      add(entry, row);
      if (!entry.cells.has(row[CELL])) entry.cells.set(row[CELL], tally());
      add(entry.cells.get(row[CELL]), row);
    }
  }
  return lines;
}

function header(text, choice) {
  const name = make("th", "", text);
  name.onclick = () => toggle(choice);
  return name;
}

function operationsByType(chosen, used) {
  const names = tables.operation;
  const lines = grid(chosen, (row) => row[OPERATION], (row) => [column[row[CELL]]]);
  const filled = columns.map((_, at) => at).filter((at) =>
    [...lines.values()].some((line) => line.has(at)));
  const body = used.sort((a, b) => (names[a] < names[b] ? -1 : 1)).map((operation) => {
    const line = make("tr"), entries = lines.get(operation), name = names[operation];
    const levels = new Set([...entries.values()].flatMap((entry) => [...entry.levels]));
    line.append(header(name, { operation: "=" + name }),
      make("td", "level", spans([...levels])),
      ...filled.map((at) => box(`${name} ${columns[at]}`, entries.get(at),
        { operation: "=" + name, cell: "^" + columns[at] })));
    return line;
  });
  return { head: ["Operation", "Level", ...filled.map((at) => columns[at])], body };
}

function typesByLevel(chosen) {
  const name = tables.operation[chosen[0][OPERATION]];
  const lines = grid(chosen, (row) => row[CELL], (row) => ["", row[LEVEL]]);
  const levels = [...new Set(chosen.map((row) => row[LEVEL]))].sort((a, b) => a - b);
  const body = order.filter((cell) => lines.has(cell)).map((cell) => {
    const line = make("tr"), entries = lines.get(cell), type = tables.cell[cell];
    const choice = { operation: "=" + name, cell: "=" + type };
    line.append(header(type, choice), ...["", ...levels].map((level) =>
      box(`${name} ${type}`, entries.get(level),
        level === "" ? choice : { ...choice, level: "=" + level })));
    return line;
  });
  return { head: [name, "All levels", ...levels.map((level) => "Level " + level)], body };
}

function box(title, entry, choice) {
  if (!entry) return make("td");
  const kind = entry.fail ? "fail" : entry.error ? "error" : entry.pass ? "pass" : "other";
  const made = make("td", "v-" + kind, `${entry.pass}/${entry.cases}`);
  const margin = entry.margin === -1 ? "" : shown(entry.margin);
  const several = entry.cells.size > 1 ? `${entry.cells.size} types` : "";
  const tiny = entry.margin > 0 && entry.margin < 0.001 ? "< 0.001" : margin;
  const small = [tiny, several].filter(Boolean).join(" · ");
  if (small) made.append(make("small", "", small));
  made.title = `${title}: ` + words(entry) + (several ? "\n"
    + order.filter((cell) => entry.cells.has(cell)).map((cell) =>
      `${tables.cell[cell]}: ` + words(entry.cells.get(cell))).join("\n") : "");
  const same = ([name, value]) => state[name] === value;
  if (Object.entries(choice).every(same)) made.classList.add("chosen");
  made.onclick = () => toggle(choice);
  return made;
}

function words(entry) {
  const margin = entry.margin === -1 ? "" : `; worst margin ${shown(entry.margin)}`;
  return `${entry.cases} cases, ${entry.pass} passed, ${entry.fail} failed, ${entry.error} errors, `
    + `${entry.other} others; feature level ${spans([...entry.levels])}${margin}`;
}

// 1, 3, 4, 5 as "1, 3–5".
function spans(numbers) {
  numbers.sort((a, b) => a - b);
  const found = [];
  for (const number of numbers) {
    const last = found.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else found.push([number, number]);
  }
  return found.map(([a, b]) => a === b ? a : `${a}–${b}`).join(", ");
}

// A row of the honesty table: operation, type, device, four counts, findings and their first cases.
const HONEST = {
  findings: ["Findings", (row) => row[7].length > 0],
  part: ["Claimed in part", (row) => row[4] > 0 && row[4] < row[3]],
  none: ["Not claimed", (row) => row[4] === 0],
};
const MOST = 600;
const several = new Set(honesty.map((row) => row[2])).size > 1;

function drawHonesty() {
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  const [operation, device] = ["operation", "device"].map((name) =>
    state[name] ? tables[name].indexOf(state[name].slice(1)) : -1);
  const type = state.cell.slice(1);
  const chosen = honesty.filter((row) =>
    (operation < 0 || row[0] === operation) && (device < 0 || row[2] === device)
    && (!type || (state.cell[0] === "^" ? columns[column[row[1]]] : tables.cell[row[1]]) === type)
    && words.every((word) => `${tables.operation[row[0]]} ${tables.cell[row[1]]} ${row[7]} ${row[8]}`
      .toLowerCase().includes(word)));
  const kept = HONEST[state.honest] ? chosen.filter(HONEST[state.honest][1]) : chosen;
  const chips = [["", "All cells", chosen.length],
    ...Object.entries(HONEST).map(([name, [title, test]]) => [name, title, chosen.filter(test).length])];
  $("honest").replaceChildren(...chips.map(([name, title, number]) => {
    const chip = make("button", "", `${title} ${count(number)}`);
    chip.type = "button";
    chip.setAttribute("aria-pressed", String(state.honest === name));
    chip.onclick = () => set({ honest: name });
    return chip;
  }));
  const thead = make("thead"), tbody = make("tbody"), line = make("tr");
  line.append(...["Operation and type", "Documented", "Claimed", "Compile", "Correct", "Finding"]
    .map((title) => make("th", "", title)));
  line.children[1].replaceChildren("Doc", make("span", "rest", "umented"));
  thead.append(line);
  tbody.append(...kept.slice(0, MOST).map(honestLine));
  if (kept.length > MOST) tbody.append(note(`and ${count(kept.length - MOST)} more: filter`));
  if (!kept.length) tbody.append(note("No cell matches the filters."));
  $("honesty-table").replaceChildren(thead, tbody);
}

function note(text) {
  const line = make("tr"), cell = make("td", "level", text);
  cell.colSpan = 6;
  line.append(cell);
  return line;
}

function honestLine(row) {
  const [operation, cell, device, documented, claimed, compiled, correct, findings, first] = row;
  const line = make("tr"), choice = { operation: "=" + tables.operation[operation],
    cell: "=" + tables.cell[cell] };
  const name = header(tables.operation[operation], choice);
  const small = several ? [tables.cell[cell], tables.device[device]] : [tables.cell[cell]];
  name.append(make("small", "", small.filter(Boolean).join(" on ")));
  // Green where nothing is missing, red where a claim is not kept.
  const number = (value, of, kind) => make("td", value === of ? "v-pass" : kind, count(value));
  const none = claimed === 0;
  line.append(name, make("td", "level", count(documented)),
    none ? make("td", "level", "no") : number(claimed, documented, "v-other"),
    none ? make("td", "level") : number(compiled, claimed, "v-fail"),
    none ? make("td", "level") : number(correct, compiled, "v-fail"));
  const found = make("td", "level found");
  findings.forEach((text, at) => {
    const button = make("button", "v-fail", text);
    button.type = "button";
    button.title = first[at];
    button.onclick = () => {
      set(choice);
      const place = rows.findIndex((other) => other[ID] === first[at]);
      show(place);
      reveal(visible.indexOf(place));
      $("detail").scrollIntoView({ block: "nearest" });
    };
    found.append(button);
  });
  line.append(found);
  return line;
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
    $("detail-text").textContent = text.split("\n").filter((line) => line !== again)
      .map((line) => line.replace(/^ {2}/, "")).join("\n");
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
  device: "", verdict: "", sort: "", honest: "" });
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
