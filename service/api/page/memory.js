// What this browser remembers, if it is asked to: key, settings, and the last results without sound.

const PLACE = "earshot";  // in localStorage, which no other server's page can read
const MOST_RESULTS = 10;
const REMEMBERED_FIELDS = ["key", "model", "decoder", "channels", "hotwords"];

const seen = new Set();  // ids of what has been on this page: other results are those of other tabs

function remember() {
  if (!$("remember").checked) return;
  const fields = Object.fromEntries(REMEMBERED_FIELDS.map((id) => [id, $(id).value]));
  const stored = remembered()?.results ?? [];
  const hadElsewhere = (item) => item.job && stored.find(({ id, state }) => id === item.id && state === "done");
  const own = items.filter((item) => item.words.length || item.job).map((item) => hadElsewhere(item) || withoutSound(item));
  const others = stored.filter(({ id }) => !seen.has(id));
  const results = [...others, ...own].sort((one, other) => (one.added ?? 0) - (other.added ?? 0));
  keep({ fields, results: results.slice(-MOST_RESULTS) });
}

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

function withoutSound({ id, added, name, state, note, seconds, job, words }) {
  return { id, added, name, state, note, seconds, job, words };
}

// The words of a job that another tab has had to its end, and deleted; whether they are there.
function takeFromMemory(item) {
  const other = remembered()?.results.find(({ id }) => id === item.id);
  if (other?.state !== "done") return false;
  Object.assign(item, { words: other.words, seconds: other.seconds, job: null });
  if (item === shown) showItem(item);
  return true;
}

function recall() {
  const memory = remembered();
  $("forget").hidden = !memory;
  if (!memory) return;
  $("remember").checked = true;
  for (const [id, value] of Object.entries(memory.fields)) {
    if (id === "model" && value) $("model").append(new Option(value, value));
    $(id).value = value;
  }
  for (const result of memory.results) {
    add({ ...newItem(null, result.name), ...result, ...stateOf(result) });
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
    return Array.isArray(memory?.results) && memory.fields ? memory : null;
  } catch {
    return null;  // storage is switched off
  }
}

function forget() {
  $("remember").checked = false;
  try { localStorage.removeItem(PLACE); } catch { /* nothing was kept */ }
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
  if ((key === PLACE || key === null) && newValue === null && $("remember").checked) forget();
});
