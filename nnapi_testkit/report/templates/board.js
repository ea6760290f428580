"use strict";
(() => {
const root = document.documentElement;
const theme = (name) => { root.dataset.theme = name; };
theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
document.getElementById("theme").onclick = () => theme(root.dataset.theme === "dark" ? "light" : "dark");

const make = (tag, kind, text) => {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
};
const COUNTS = ["cases", "passed", "failed", "errors", "not charged", "others"];

function colour([, passed, failed, errors, apart]) {
  return failed ? "fail" : errors ? "error" : apart ? "apart" : passed ? "pass" : "other";
}

// A page of a run keeps its filters in its address: operation, type and device.
function address(data, at, operation, type) {
  if (!data.pages[at]) return "";
  const filters = { operation, cell: type, ...(data.only[at] ? { device: data.only[at] } : {}) };
  return data.pages[at] + "#" + Object.entries(filters)
    .map(([name, value]) => name + "=" + encodeURIComponent("=" + value)).join("&");
}

function typeRow(data, operation, [type, tallies], sparks) {
  const line = make("tr", "type"), head = make("th", "", type);
  head.scope = "row";
  line.append(head);
  if (sparks) line.append(make("td", "spark"));
  tallies.forEach((tally, at) => {
    if (!tally) { line.append(make("td", "none", "–")); return; }
    const cell = make("td", "v-" + colour(tally)), href = address(data, at, operation, type);
    const told = make(href ? "a" : "span", "", `${tally[1]}/${tally[0]}`);
    if (href) told.href = href;
    cell.append(told);
    if (tally[6]) cell.append(make("small", "", tally[6]));
    cell.title = `${operation} ${type}: ` + COUNTS.map((name, place) => `${tally[place]} ${name}`).join(", ");
    line.append(cell);
  });
  return line;
}

function unfold(table, data, line) {
  const button = line.querySelector("button.more"), name = line.dataset.name;
  const open = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!open));
  if (open) {
    while (line.nextElementSibling?.classList.contains("type")) line.nextElementSibling.remove();
  } else {
    const sparks = Boolean(line.querySelector(".spark"));
    line.after(...(data.types[name] ?? []).map((row) => typeRow(data, name, row, sparks)));
  }
}

for (const box of document.querySelectorAll(".runs")) {
  const table = box.querySelector("table"), tools = box.previousElementSibling;
  const source = box.parentElement.querySelector("script.types");
  if (!source || !tools?.classList.contains("tools")) continue;
  const lines = [...table.tBodies[0].rows];
  let data;
  const types = () => (data ??= JSON.parse(source.textContent));
  table.addEventListener("click", (event) => {
    const button = event.target.closest("button.more");
    if (button) unfold(table, types(), button.closest("tr"));
  });
  const filter = () => {
    const word = tools.querySelector(".find").value.trim().toLowerCase();
    const states = [...tools.querySelectorAll(".only:checked")].map((only) => only.value);
    let shown = 0;
    for (const line of lines) {
      const has = line.dataset.state.split(" ");
      const keep = line.dataset.name.toLowerCase().includes(word) && states.every((s) => has.includes(s));
      line.hidden = !keep;
      shown += keep;
      for (let next = line.nextElementSibling; next?.classList.contains("type"); next = next.nextElementSibling) {
        next.hidden = !keep;
      }
    }
    tools.querySelector(".count").textContent = `${shown} of ${lines.length} operations`;
  };
  tools.addEventListener("input", filter);
  filter();
  // An address of an operation, as of every row, shows its types too.
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && lines.includes(target)) unfold(table, types(), target);
}
})();
