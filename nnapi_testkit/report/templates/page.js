const { verdicts, tables, order, columns, column, ids, runs, margins, compared, micros, again,
  repros, honesty, picture: PICTURE } = JSON.parse(document.getElementById("data").textContent);
// Columns of a row; the data come by columns, see page_data.py.
const ID = 0, OPERATION = 1, CELL = 2, LEVEL = 3, KIND = 4, VERDICT = 5, MARGIN = 6, COMPARED = 7,
  DEVICE = 8, ORACLE = 9, MICROS = 10, TEXT = 11, CLUSTER = 12;
const GROUPS = ["fail", "error", "waived", "apart", "other", "pass"];
const WORDS = { fail: "fail", error: "error", waived: "waived", apart: "not charged" };
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

function spread(pairs) {
  const found = new Array(margins.length);
  let at = 0;
  for (let pair = 0; pair < pairs.length; pair += 2) {
    for (let left = pairs[pair + 1]; left > 0; left -= 1) found[at++] = pairs[pair];
  }
  return found;
}

function readRows() {
  const read = Object.fromEntries(Object.entries(runs).map(([name, pairs]) => [name, spread(pairs)]));
  let last = "";
  return margins.length === 0 ? [] : ids.split("\n").map((line, at) => {
    last = last.slice(0, parseInt(line.slice(0, 2), 36)) + line.slice(2);
    return [last, read.operation[at], read.cell[at], read.level[at], read.kind[at], read.verdict[at],
      margins[at], compared[at], read.device[at], read.oracle[at], micros[at], read.text[at],
      read.cluster[at]];
  });
}

const rows = readRows();
// Where a verdict stands among the others, and the class of its cells.
const RANK = verdicts.map(([, kind], at) => GROUPS.indexOf(kind) * 100 + at);
const group = (row) => verdicts[row[VERDICT]][1];
const told = (row) => row[TEXT] < 0 ? "" : tables.text[row[TEXT]];
// What a search looks at, made when the first word is typed.
let lower = null;
const searched = () => lower ??= rows.map((row) => (row[ID] + "\n" + told(row)).toLowerCase());

// What is chosen; mirrored in the address so that a link shows the same.
const state = { text: "", operation: "", cell: "", level: "", kind: "", device: "", verdict: "",
  sort: "", honest: "", failing: "", cluster: "",
  open: "" };
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
    const names = new Set(state.verdict.split(","));
    const places = verdicts.map(([name]) => names.has(name));
    tests.push((row) => places[row[VERDICT]]);
  }
  if (state.cluster) {
    const number = Number(state.cluster);
    tests.push((row) => row[CLUSTER] === number);
  }
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length) {
    const texts = searched();
    tests.push((row, at) => words.every((word) => texts[at].includes(word)));
  }
  return (row, at) => tests.every((test) => test(row, at));
}

const SORTS = {
  verdict: (a, b) => RANK[a[VERDICT]] - RANK[b[VERDICT]],
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
  const chosen = visible.map((at) => rows[at]);
  const [name, down] = (state.sort || "verdict").split("-");
  const by = SORTS[name] ?? SORTS.verdict;
  const sign = down ? -1 : 1;
  visible.sort((a, b) => sign * by(rows[a], rows[b]) || a - b);
  $("count").textContent = `${count(visible.length)} of ${count(rows.length)} cases`;
  for (const id of ["operation", "cell", "level", "kind", "device"]) $(id).value = state[id];
  if ($("text").value !== state.text) $("text").value = state.text;
  $("cluster").hidden = !state.cluster;
  $("cluster").textContent = `cluster ${state.cluster} ✕`;
  $("failing").checked = Boolean(state.failing);
  drawChips();
  drawMatrix(chosen);
  drawMargins(chosen);
  drawHonesty();
  drawColumns();
  $("scroll").scrollTop = 0;
  $("space").style.height = Math.max(visible.length * HEIGHT, HEIGHT) + "px";
  drawRows();
  remember();
}

// The address shows what is chosen. Browsers that forbid it for files, or so often, go without.
function remember() {
  const parameters = Object.entries(state).filter(([, value]) => value);
  try {
    history.replaceState(null, "", parameters.length ? "#" + new URLSearchParams(parameters) : "#");
  } catch { /* the page works all the same */ }
}

function set(changes) {
  Object.assign(state, changes);
  update();
}

function toggle(choice) {
  const same = Object.entries(choice).every(([name, value]) => state[name] === value);
  set(same ? Object.fromEntries(Object.keys(choice).map((name) => [name, ""])) : choice);
}

function drawChips() {
  const keep = wanted("verdict");
  const counts = verdicts.map(() => 0);
  rows.forEach((row, at) => { if (keep(row, at)) counts[row[VERDICT]] += 1; });
  const order = verdicts.map((_, at) => at).sort((a, b) => RANK[a] - RANK[b]);
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
