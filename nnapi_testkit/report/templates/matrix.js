const tally = () => ({ cases: 0, fail: 0, error: 0, waived: 0, apart: 0, other: 0, pass: 0,
  margin: -1, levels: 0, cells: new Map() });  // of the levels a bit each

function add(entry, row) {
  entry.cases += 1;
  entry[group(row)] += 1;
  entry.levels |= 1 << row[LEVEL];
  if (row[COMPARED] && worse(real(row[MARGIN]), entry.margin)) entry.margin = real(row[MARGIN]);
}

const kindOf = (entry) => GROUPS.find((name) => entry[name] && name !== "other")
  ?? (entry.other ? "other" : "pass");
const isBad = (entry) => entry.fail + entry.error > 0;

// Worst first: the kind of its worst cell, then how many cases fail.
function rankOf(entries) {
  let rank = GROUPS.length, number = 0;
  for (const entry of entries) {
    rank = Math.min(rank, GROUPS.indexOf(kindOf(entry)));
    number += entry.fail * 1e6 + entry.error;
  }
  return [rank < 4 ? rank : 4, -number];  // what is open and what passed stand by name
}

// Many operations: a column for each type of first tensor. One: its types by feature level.
function drawMatrix(chosen) {
  const used = [...new Set(chosen.map((row) => row[OPERATION]))];
  const focused = placeIn($("matrix"));
  const { head, body } = used.length === 1 ? typesByLevel(chosen) : operationsByType(chosen, used);
  const thead = make("thead"), tbody = make("tbody"), line = make("tr");
  line.append(...head.map((title) => {
    const name = make("th", "", title);
    name.scope = "col";
    return name;
  }));
  thead.append(line);
  tbody.append(...body);
  if (!body.length) tbody.append(note(state.failing ? "Nothing fails here." : "No case matches the filters."));
  $("matrix").replaceChildren(thead, tbody);
  rove($("matrix"), focused);
}

function grid(chosen, rowOf, columnOf) {
  const lines = new Map();
  for (const row of chosen) {
    const at = rowOf(row);
    let line = lines.get(at);
    if (!line) lines.set(at, line = new Map());
    for (const place of columnOf(row)) {
      let entry = line.get(place);
      if (!entry) line.set(place, entry = tally());
      add(entry, row);
      let cell = entry.cells.get(row[CELL]);
      if (!cell) entry.cells.set(row[CELL], cell = tally());
      add(cell, row);
    }
  }
  return lines;
}

function pressable(text, choice) {
  const button = make("button", "", text);
  button.type = "button";
  button.tabIndex = -1;
  button.onclick = () => toggle(choice);
  return button;
}

function header(text, choice) {
  const name = make("th");
  name.scope = "row";
  name.append(pressable(text, choice));
  return name;
}

function operationsByType(chosen, used) {
  const names = tables.operation;
  const lines = grid(chosen, (row) => row[OPERATION], (row) => [column[row[CELL]]]);
  const ranks = new Map(used.map((at) => [at, rankOf(lines.get(at).values())]));
  const kept = used.filter((at) => !state.failing || [...lines.get(at).values()].some(isBad));
  const filled = columns.map((_, at) => at).filter((at) => kept.some((name) => lines.get(name).has(at)));
  kept.sort((a, b) => ranks.get(a)[0] - ranks.get(b)[0] || ranks.get(a)[1] - ranks.get(b)[1]
    || (names[a] < names[b] ? -1 : 1));
  const body = kept.map((operation) => {
    const line = make("tr"), entries = lines.get(operation), name = names[operation];
    const levels = [...entries.values()].reduce((all, entry) => all | entry.levels, 0);
    line.append(header(name, { operation: "=" + name }),
      make("td", "level", spans(levels)),
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
  const kept = order.filter((cell) => lines.has(cell)
    && (!state.failing || isBad(lines.get(cell).get(""))));
  const ranks = new Map(kept.map((cell) => [cell, rankOf([lines.get(cell).get("")])]));
  kept.sort((a, b) => ranks.get(a)[0] - ranks.get(b)[0] || ranks.get(a)[1] - ranks.get(b)[1]);
  const body = kept.map((cell) => {
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
  const kind = kindOf(entry);
  const made = make("td", "v-" + kind);
  const button = pressable(`${entry.pass}/${entry.cases}`, choice);
  const margin = entry.margin === -1 ? "" : shown(entry.margin);
  const several = entry.cells.size > 1 ? `${entry.cells.size} types` : "";
  const tiny = entry.margin > 0 && entry.margin < 0.001 ? "< 0.001" : margin;
  const small = make("small");
  if (WORDS[kind]) small.append(make("b", "", `${entry[kind]} ${WORDS[kind]}`), " ");
  small.append([tiny, several].filter(Boolean).join(" · "));
  if (small.textContent) button.append(small);
  button.title = `${title}: ` + words(entry) + (several ? "\n"
    + order.filter((cell) => entry.cells.has(cell)).map((cell) =>
      `${tables.cell[cell]}: ` + words(entry.cells.get(cell))).join("\n") : "");
  const same = ([name, value]) => state[name] === value;
  if (Object.entries(choice).every(same)) made.classList.add("chosen");
  made.append(button);
  return made;
}

function words(entry) {
  const margin = entry.margin === -1 ? "" : `; worst margin ${shown(entry.margin)}`;
  return `${entry.cases} cases, ${entry.pass} passed, ${entry.fail} failed, ${entry.error} errors, `
    + `${entry.waived} waived, ${entry.apart} not charged, ${entry.other} others; `
    + `feature level ${spans(entry.levels)}${margin}`;
}

// The bits 1, 3, 4, 5 as "1, 3–5".
function spans(bits) {
  const found = [];
  for (let number = 0; number < 31; number += 1) {
    if (!(bits >> number & 1)) continue;
    const last = found.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else found.push([number, number]);
  }
  return found.map(([a, b]) => a === b ? a : `${a}–${b}`).join(", ");
}

// A table is one stop of Tab; arrow keys move from cell to cell, over those that are empty.
function rove(table, focused) {
  for (const [y, line] of [...table.tBodies[0].rows].entries()) {
    for (const [x, cell] of [...line.cells].entries()) {
      const buttons = cell.querySelectorAll("button");
      buttons.forEach((button, at) => {
        button.dataset.place = `${y},${x + at}`;
        button.tabIndex = -1;
      });
    }
  }
  const first = (focused && table.querySelector(`[data-place="${focused}"]`)) || table.querySelector("button");
  if (first) first.tabIndex = 0;
  if (focused) first?.focus({ preventScroll: true });
}

function placeIn(table) {
  return table.contains(document.activeElement) ? document.activeElement.dataset.place : "";
}

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function arrows(event) {
  const step = STEPS[event.key], place = event.target.dataset?.place;
  if (!step || !place) return;
  event.preventDefault();
  event.stopPropagation();
  let [y, x] = place.split(",").map(Number);
  const lines = event.currentTarget.tBodies[0].rows;
  for (;;) {
    y += step[0];
    x += step[1];
    if (!lines[y] || x < 0 || x > lines[y].cells.length + 1) return;
    const next = lines[y].querySelector(`[data-place="${y},${x}"]`);
    if (!next) continue;
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
    return;
  }
}

// Upper ends of the bars of a histogram of error over bound. The first is exactly 0.
const ENDS = [0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 2, 5, 10,
  100, Infinity];
const INSIDE = ENDS.indexOf(1) + 1;  // bars up to the bound
const SOME = innerWidth < 600 ? 8 : 36;
let allMargins = false;

function drawMargins(chosen) {
  if (!$("margins").open && !printing) return;
  const cells = new Map();
  for (const row of chosen) {
    if (!row[COMPARED]) continue;
    const key = row[OPERATION] * 1e4 + row[CELL];
    let entry = cells.get(key);
    if (!entry) {
      cells.set(key, entry = { operation: row[OPERATION], cell: row[CELL], all: [], bad: 0,
        bars: ENDS.map(() => 0) });
    }
    const margin = real(row[MARGIN]);
    entry.all.push(Number.isNaN(margin) ? Infinity : margin);
    entry.bars[Math.max(0, ENDS.findIndex((end) => !(margin > end)))] += 1;
    if (group(row) === "fail") entry.bad += 1;
  }
  const kept = [...cells.values()].filter((entry) => !state.failing || entry.bad);
  for (const entry of kept) {
    entry.all.sort((a, b) => a - b);
    entry.worst = entry.all.at(-1);
  }
  const name = (entry) => `${tables.operation[entry.operation]} ${tables.cell[entry.cell]}`;
  kept.sort((a, b) => b.bad - a.bad || (b.worst > a.worst ? 1 : b.worst < a.worst ? -1 : 0)
    || (name(a) < name(b) ? -1 : 1));
  const most = allMargins ? Infinity : SOME;
  $("histograms").replaceChildren(...kept.slice(0, most).map((entry) => histogram(entry, name(entry))));
  if (!kept.length) $("histograms").append(make("p", "hint", "No case was compared here."));
  $("all-margins").hidden = kept.length <= most;
  $("all-margins").textContent = `Show all ${count(kept.length)}, not only the ${SOME} nearest to their bound`;
}

function histogram(entry, name) {
  const made = make("figure"), caption = make("figcaption", "", name);
  const median = entry.all[entry.all.length >> 1];
  const text = `${count(entry.all.length)} cases, median ${shown(median)}, worst ${shown(entry.worst)}`;
  caption.append(make("small", "", text));
  const high = Math.max(...entry.bars);
  // Numbers of our own alone: no text of anybody's stands in this drawing.
  const bars = entry.bars.map((number, at) => {
    const height = number ? Math.max(36 * number / high, 2) : 0;
    return `<rect class="${at < INSIDE ? "in" : "out"}" x="${at * 10 + 1}" width="8" y="${40 - height}" height="${height}">`
      + `<title>${number} cases up to ${ENDS[at]}</title></rect>`;
  }).join("");
  const svg = `<svg viewBox="0 0 ${ENDS.length * 10} 42" preserveAspectRatio="none" role="img">${bars}`
    + `<line class="ground" x1="0" x2="${ENDS.length * 10}" y1="40.5" y2="40.5"/>`
    + `<line class="bound" x1="${INSIDE * 10}" x2="${INSIDE * 10}" y1="0" y2="42"/></svg>`;
  made.append(caption);
  made.insertAdjacentHTML("beforeend", svg);
  made.lastChild.setAttribute("aria-label", `${name}: ${text}, ${entry.bad} failing`);
  return made;
}
