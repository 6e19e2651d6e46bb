// What this browser remembers, if it is asked to: key, settings, and the last results without sound.

const PLACE = "earshot";  // in localStorage, which no other server's page can read
const MOST_RESULTS = 10;
const REMEMBERED_FIELDS = ["key", "model", "decoder", "channels", "hotwords"];

const seen = new Set();  // ids of what has been on this page: other results are those of other tabs

// Tabs write the same memory: of a result that two of them have, what was changed last stays.
function remember() {
  if (!$("remember").checked) return;
  const fields = Object.fromEntries(REMEMBERED_FIELDS.map((id) => [id, $(id).value]));
  const memory = remembered(), there = new Map(memory?.results.map((result) => [result.id, result]));
  const removed = ({ id, kept }) => memory && kept && !there.has(id);  // in another tab
  const own = items.filter((item) => (item.words.length || item.job) && !removed(item)).map((item) => {
    const other = there.get(item.id);
    const isAhead = other?.changed > item.changed || (other?.state === "done" && item.state !== "done");
    return isAhead ? other : withoutSound(item);
  });
  const others = [...there.values()].filter(({ id }) => !seen.has(id));
  const results = [...others, ...own].sort((one, other) => (one.added ?? 0) - (other.added ?? 0)).slice(-MOST_RESULTS);
  for (const item of items) item.kept ||= results.some(({ id }) => id === item.id);
  keep({ fields, results });
}

const touch = (item) => Object.assign(item, { changed: Date.now(), kept: false });

// The oldest results give way where the browser has no more room.
function keep(memory) {
  try {
    localStorage.setItem(PLACE, JSON.stringify(memory));
  } catch {
    if (!memory.results.length) return complain("This browser remembers nothing for this page: save your results as files.");
    memory.results.shift();
    keep(memory);
  }
}

function withoutSound({ id, added, changed, name, state, note, seconds, job, words }) {
  return { id, added, changed, name, state, note, seconds, job, words };
}

// The words of a recording that another tab has read to its end, or corrected; whether they are there.
function takeFromMemory(item) {
  const other = remembered()?.results.find(({ id }) => id === item.id);
  if (other?.state !== "done") return false;
  const { words, seconds, changed } = other;
  Object.assign(item, { words, seconds, changed, job: null, undone: [], redone: [], kept: true });
  if (item === shown) showItem(item);
  return true;
}

// What was corrected in another tab, but where something is being typed here.
function takeCorrections() {
  const typing = $("words").querySelector(".edit") && shown;
  for (const { id, changed } of remembered()?.results ?? []) {
    const item = items.find((own) => own.id === id);
    if (item?.state === "done" && changed > item.changed && item !== typing && takeFromMemory(item)) change(item, {});
  }
}

function recall() {
  const memory = remembered();
  $("forget").hidden = !memory;
  if (!memory) return;
  $("remember").checked = true;
  for (const id of REMEMBERED_FIELDS.filter((one) => one in memory.fields)) {
    const value = memory.fields[id];
    if (id === "model" && value) $("model").append(new Option(value, value));
    $(id).value = value;
  }
  for (const result of memory.results) {
    add({ ...newItem(null, result.name), ...result, ...stateOf(result), kept: true });
  }
  pump();
}

function stateOf({ job, state, note }) {
  if (job) return { state: "waiting", note: "" };  // it is followed again
  if (["done", "failed", "cancelled"].includes(state)) return { state, note };
  return { state: "failed", note: "The page was closed meanwhile: add the file again for the rest." };
}

function remembered() {
  try {
    const memory = JSON.parse(localStorage.getItem(PLACE));
    if (!Array.isArray(memory?.results) || !memory.fields) return null;
    return { ...memory, results: memory.results.filter((result) => Array.isArray(result?.words)) };
  } catch {
    return null;  // storage is switched off
  }
}

function forget() {
  $("remember").checked = false;
  try { localStorage.removeItem(PLACE); } catch { /* nothing was kept */ }
  for (const item of items) item.kept = false;
  $("forget").hidden = true;
  say("This browser has forgotten the key, the settings and all results.");
}

$("remember").addEventListener("change", () => {
  if (!$("remember").checked) return forget();
  remember();
  $("forget").hidden = false;
});
$("forget").addEventListener("click", () => {
  forget();
  for (const id of REMEMBERED_FIELDS) $(id).value = "";
  $("remember").focus();
});
for (const id of REMEMBERED_FIELDS) $(id).addEventListener("change", remember);
addEventListener("storage", ({ key, newValue }) => {  // another tab has changed it
  if (key !== PLACE && key !== null) return;
  if (newValue !== null) takeCorrections();
  else if ($("remember").checked) forget();
});
