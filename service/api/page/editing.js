// Words are edited in place: their times stay. Edits can be undone, and words found.

// ---- Editing

function beginEdit(at) {
  const word = shown.words[at], place = wordButtons[at];
  const field = element("input", { type: "text", className: "edit", value: word.text, autocomplete: "off", spellcheck: true });
  field.setAttribute("aria-label", `Correct ${word.text || heardText(word)}: Enter keeps it, Escape does not`);
  field.style.width = `${word.text.length + 4}ch`;
  field.oninput = () => { field.style.width = `${field.value.length + 4}ch`; };
  let ended = false;
  const end = (keeps, focuses) => {
    if (ended) return;  // removing a field that has the focus blurs it
    ended = true;
    const text = field.value.trim().replace(/\s+/g, " ");
    field.replaceWith(place);
    if (shown?.words[at] !== word) return;  // they are read anew
    if (keeps && text !== word.text) edit(at, text);
    if (focuses) focusWord(at);
  };
  field.onblur = () => end(true, false);
  field.onkeydown = (event) => {
    event.stopPropagation();
    const keeps = event.key === "Enter" && !event.isComposing;
    if (!keeps && event.key !== "Escape") return;
    event.preventDefault();  // else Enter would press the word that gets the focus
    end(keeps, true);
  };
  $("audio").pause();
  place.replaceWith(field);
  field.focus();
  field.select();
}

function edit(at, text) {
  shown.undone.push({ at, before: shown.words[at].text, after: text });
  shown.redone.length = 0;
  write(shown, at, text);
}

function write(item, at, text) {
  item.words[at].text = text;
  item.unsaved = true;
  touch(item);
  if (item === shown) dress(wordButtons[at], item.words[at]);
  showEdits();
  find();
  remember();
}

// What was heard where a word is edited now.
const heardText = (word) => word.spoken[0].written || word.spoken[0].word;
const isEdited = (word) => word.text !== heardText(word);

// ---- Undoing

function undo() {
  const last = shown?.undone.pop();
  if (!last) return;
  shown.redone.push(last);
  write(shown, last.at, last.before);
  focusWord(last.at);
  say(`Undone: ${last.before || "the word is back"}.`);
}

function redo() {
  const last = shown?.redone.pop();
  if (!last) return;
  shown.undone.push(last);
  write(shown, last.at, last.after);
  focusWord(last.at);
  say(last.after ? `Done again: ${last.after}.` : "Done again: the word is removed.");
}

function showEdits() {
  $("correct").disabled = !shown?.words.length;
  $("undo").disabled = !shown?.undone.length;
  $("redo").disabled = !shown?.redone.length;
}

$("undo").addEventListener("click", undo);
$("redo").addEventListener("click", redo);
$("correct").addEventListener("click", () => beginEdit(tabStop));
$("words").addEventListener("dblclick", (event) => {
  const at = placeOf(event);
  if (at !== null) beginEdit(at);
});
$("words").addEventListener("keydown", (event) => {
  const at = placeOf(event);
  if (event.key === "F2" && at !== null) beginEdit(at);
});
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.target.matches("input, select")) return;
  const act = { z: event.shiftKey ? redo : undo, y: redo }[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});

// ---- Finding

let found = [];  // the first and last word of each place
let current = -1;

const plain = (text) => text.toLowerCase().normalize("NFKC").replace(/[^\p{L}\p{N}\p{M}]+/gu, " ").trim();

function find() {
  for (const marked of $("words").querySelectorAll(".found")) marked.classList.remove("found", "current");
  found = shown ? placesOf(plain($("find").value), shown.words) : [];
  current = Math.min(current, found.length - 1);
  for (const [first, last] of found) wordButtons.slice(first, last + 1).forEach((one) => one.classList.add("found"));
  showFound();
}

// Where words say something, whatever their capitals and marks.
function placesOf(sought, words) {
  if (!sought) return [];
  const starts = [];  // of each word in the text
  let text = "";
  for (const word of words) {
    starts.push(text.length);
    text += `${plain(word.text)} `;
  }
  const places = [];
  const wordOf = (offset) => lastUpTo(starts.length, (at) => starts[at], offset);
  for (let at = text.indexOf(sought); at >= 0; at = text.indexOf(sought, at + sought.length)) {
    places.push([wordOf(at), wordOf(at + sought.length - 1)]);
  }
  return places;
}

function showFound() {
  const sought = $("find").value.trim();
  $("found").textContent = !sought ? "" : found.length ? `${Math.max(0, current) + 1} of ${found.length}` : "not found";
  $("previous").disabled = $("next").disabled = !found.length;
}

function goToFound(step) {
  if (!found.length) return;
  $("words").querySelectorAll(".current").forEach((one) => one.classList.remove("current"));
  current = (current + step + found.length) % found.length;
  const [first, last] = found[current];
  wordButtons.slice(first, last + 1).forEach((one) => one.classList.add("current"));
  stopAt(first);
  wordButtons[first].scrollIntoView({ block: "center" });
  showFound();
}

$("find").addEventListener("input", () => { current = -1; find(); goToFound(1); });
$("find").addEventListener("keydown", (event) => {
  if (event.key === "Enter") goToFound(event.shiftKey ? -1 : 1);
});
$("next").addEventListener("click", () => goToFound(1));
$("previous").addEventListener("click", () => goToFound(-1));
