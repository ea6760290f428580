function theme(name) {
  document.documentElement.dataset.theme = name;
}

const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
function jump(id) {
  const part = $(id);
  if (part.tagName === "DETAILS") part.open = true;
  part.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
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
for (const table of [$("matrix"), $("honesty-table")]) table.addEventListener("keydown", arrows);
$("failing").onchange = () => set({ failing: $("failing").checked ? "1" : "" });
$("margins").ontoggle = () => $("histograms").firstChild || drawMargins(visible.map((at) => rows[at]));
$("all-margins").onclick = () => {
  allMargins = true;
  drawMargins(visible.map((at) => rows[at]));
};
$("clear").onclick = () => set({ text: "", operation: "", cell: "", level: "", kind: "",
  device: "", verdict: "", sort: "", honest: "", failing: "", cluster: "" });
$("cluster").onclick = () => set({ cluster: "" });
for (const button of document.querySelectorAll("[data-jump]")) {
  button.onclick = () => jump(button.dataset.jump);
}
$("scroll").addEventListener("scroll", () => requestAnimationFrame(drawRows), { passive: true });
addEventListener("resize", drawRows);
$("space").onclick = (event) => {
  const line = event.target.closest("[data-at]");
  if (!line || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  show(Number(line.dataset.at));
};
$("close").onclick = () => { show(-1); $("scroll").focus(); };
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
  const free = !inField && !event.ctrlKey && !event.metaKey && !event.altKey;
  // Elsewhere arrow keys scroll what they always scroll.
  const list = event.target === $("scroll") || $("detail").contains(event.target);
  if (event.key === "/" && free) { event.preventDefault(); $("text").focus(); }
  else if (event.key === "Escape") show(-1);
  else if ((event.key === "ArrowDown" && list) || (event.key === "j" && free)) {
    event.preventDefault(); step(1);
  } else if ((event.key === "ArrowUp" && list) || (event.key === "k" && free)) {
    event.preventDefault(); step(-1);
  }
});

function fromAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(state)) state[name] = given.get(name) ?? "";
}

function follow() {
  fromAddress();
  const open = state.open;
  update();
  if (open) openCase(open);
  else if (location.hash.length > 1) $("cases").scrollIntoView({ block: "start" });
}

// Which operation of the picture is under the pointer, and which type.
function pictured(event) {
  const picture = $("picture"), area = picture.getBoundingClientRect();
  const { width, height } = picture.viewBox.baseVal;
  const x = Math.floor((event.clientX - area.left) / area.width * width / 8);
  const y = Math.floor((event.clientY - area.top) / area.height * height / 8);
  return [PICTURE.operations[x], PICTURE.rows[y]];
}
if ($("picture")) {
  $("picture").onmousemove = (event) => {
    $("picture").firstElementChild.textContent = pictured(event).filter(Boolean).join(" ");
  };
  $("picture").onclick = (event) => {
    const [operation, type] = pictured(event);
    if (operation) set({ operation: "=" + operation, cell: type ? "^" + type : "" });
    jump("coverage");
  };
}

addEventListener("beforeprint", beforePrint);
addEventListener("afterprint", afterPrint);
fillLists();
fromAddress();
const open = state.open;
update();
if (open) {
  const at = rows.findIndex((row) => row[ID] === open);
  show(at);
  reveal(visible.indexOf(at));
  $("cases").scrollIntoView({ block: "start" });  // who follows a link to a case wants to see it
}
addEventListener("hashchange", follow);
