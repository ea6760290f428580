const HEIGHT = 30;

// A row of the honesty table: operation, type, device, four counts, findings and their first cases.
const HONEST = {
  findings: ["Findings", (row) => row[7].length > 0],
  part: ["Claimed in part", (row) => row[4] > 0 && row[4] < row[3]],
  none: ["Not claimed", (row) => row[4] === 0],
};
const MOST = 60;
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
  const focused = placeIn($("honesty-table"));
  line.append(...["Operation and type", "Documented", "Claimed", "Compile", "Correct", "Finding"]
    .map((title) => {
      const head = make("th", "", title);
      head.scope = "col";
      return head;
    }));
  line.children[1].replaceChildren("Doc", make("span", "rest", "umented"));
  thead.append(line);
  const most = printing ? Infinity : MOST;
  tbody.append(...kept.slice(0, most).map(honestLine));
  if (kept.length > most) tbody.append(note(`and ${count(kept.length - most)} more: filter`));
  if (!kept.length) tbody.append(note("No cell matches the filters."));
  $("honesty-table").replaceChildren(thead, tbody);
  rove($("honesty-table"), focused);
}

function note(text) {
  const line = make("tr"), cell = make("td", "level", text);
  cell.colSpan = 6;
  line.append(cell);
  return line;
}

function honestLine(row) {
  const [operation, cell, device, documented, claimed, compiled, correct, findings, first,
    waived] = row;
  const line = make("tr"), choice = { operation: "=" + tables.operation[operation],
    cell: "=" + tables.cell[cell] };
  const name = header(tables.operation[operation], choice);
  const small = several ? [tables.cell[cell], tables.device[device]] : [tables.cell[cell]];
  name.append(make("small", "", small.filter(Boolean).join(" on ")));
  // Green where nothing is missing and there is something, red where a claim is not kept.
  const number = (value, of, kind) => make("td", of === 0 ? "level" : value === of ? "v-pass" : kind,
    of === 0 ? "–" : count(value));
  const none = claimed === 0;
  line.append(name, make("td", "level", count(documented)),
    none ? make("td", "level", "no") : number(claimed, documented, "v-other"),
    none ? make("td", "level") : number(compiled, claimed, "v-fail"),
    none ? make("td", "level")
      : number(correct, compiled, correct + waived === compiled ? "v-waived" : "v-fail"));
  const found = make("td", "level found");
  if (waived) found.append(make("span", "v-waived", `${count(waived)} not charged`));
  findings.forEach((text, at) => {
    const button = make("button", "v-fail", text);
    button.type = "button";
    button.title = first[at];
    button.onclick = () => {
      set(choice);
      openCase(first[at]);
    };
    found.append(button);
  });
  line.append(found);
  return line;
}

function drawColumns() {
  const titles = { verdict: "Verdict", id: "Case", level: "Level", margin: "Margin",
    elements: "Elements", time: "Time" };
  const [current, down] = (state.sort || "verdict").split("-");
  const focused = document.activeElement?.dataset?.sort;
  $("columns").replaceChildren(...Object.entries(titles).map(([name, title]) => {
    const mark = name === current ? (down ? " ↑" : " ↓") : "";
    const box = make("div", name === "verdict" || name === "id" ? "" : "n");
    box.setAttribute("role", "columnheader");
    if (mark) box.setAttribute("aria-sort", down ? "descending" : "ascending");
    const button = make("button", "", title + mark);
    button.type = "button";
    button.dataset.sort = name;
    button.onclick = () => set({ sort: name === current && !down ? name + "-up" : name });
    box.append(button);
    return box;
  }));
  $("list").setAttribute("aria-rowcount", String(visible.length + 1));
  if (focused) document.querySelector(`[data-sort="${focused}"]`)?.focus();
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
    line.setAttribute("aria-rowindex", String(place + 2));
    line.dataset.at = at;
    line.style.top = place * HEIGHT + "px";
    const id = make("span", "id"), link = make("a", "", row[ID]);
    id.title = row[ID];
    link.href = "#" + new URLSearchParams([["open", row[ID]]]);
    link.tabIndex = -1;
    id.append(link);
    const margin = row[COMPARED] ? shown(real(row[MARGIN])) : "";
    const verdict = make("span");
    verdict.append(make("span", "verdict v-" + group(row), verdicts[row[VERDICT]][0]));
    line.append(verdict, id,
      make("span", "n", row[LEVEL]), make("span", "n", margin),
      make("span", "n", row[COMPARED] ? count(row[COMPARED]) : ""),
      make("span", "n", time(row[MICROS])));
    for (const box of line.children) box.setAttribute("role", "cell");
    lines.push(line);
  }
  if (!visible.length) {
    const line = make("div"), cell = make("div", "empty", "No case matches the filters.");
    line.setAttribute("role", "row");
    cell.setAttribute("role", "cell");
    line.append(cell);
    lines.push(line);
  }
  $("space").replaceChildren(...lines);
}

function quote(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : "'" + word.replaceAll("'", "'\"'\"'") + "'";
}

const command = (at) => repros[at] ?? `nnapi-testkit run ${quote(rows[at][ID])}${again}`;

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
    if (row[CLUSTER]) facts.push(["Cluster", clusterTitle(row[CLUSTER])]);
    $("detail-facts").replaceChildren(...facts.flatMap(([name, value]) =>
      [make("dt", "", name), make("dd", "", value)]));
    $("detail-text").textContent = told(row);
    $("repro").textContent = command(at);
  }
  drawRows();
  remember();
}

function clusterTitle(number) {
  const item = document.querySelector(`.clusters li[value="${number}"] b`);
  return item ? `${number}: ${item.textContent}` : String(number);
}

function openCase(id) {
  const at = rows.findIndex((row) => row[ID] === id);
  show(at);
  reveal(visible.indexOf(at));
  $("cases").scrollIntoView({ block: "start" });
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

// Paper has no scrolling and no filter: everything is opened, and every failure written out.
let printing = false;
let closed = [];

function beforePrint() {
  if (printing) return;
  printing = true;
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const part of closed) part.open = true;
  update();
  const bad = visible.filter((at) => ["fail", "error"].includes(group(rows[at])));
  const all = rows.filter((row) => ["fail", "error"].includes(group(row))).length;
  const title = bad.length === all ? `All ${count(all)} cases that failed`
    : `${count(bad.length)} of ${count(all)} cases that failed: a filter is set`;
  const made = bad.map((at) => {
    const part = make("article"), head = make("h3");
    head.append(make("span", "verdict v-" + group(rows[at]), verdicts[rows[at][VERDICT]][0]), " ", rows[at][ID]);
    part.append(head, make("pre", "", [told(rows[at]), "again: " + command(at)].filter(Boolean).join("\n")));
    return part;
  });
  $("printed").replaceChildren(make("h2", "", title), ...made);
  $("printed").hidden = !all;
}

function afterPrint() {
  if (!printing) return;
  printing = false;
  for (const part of closed) part.open = false;
  $("printed").replaceChildren();
  $("printed").hidden = true;
  update();
}
