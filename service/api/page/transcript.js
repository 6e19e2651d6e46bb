// The words of a recording: shown in paragraphs, heard by a click, walked by arrow keys.

const PAUSE_S = 0.8;  // ends a segment and a subtitle
const LONG_PAUSE_S = 2, LONGEST_PAUSE_S = 4, FULL_S = 60;  // end a paragraph, as asr/transcript/paragraphs.py

let shown = null;  // the item whose words are on the page
let wordButtons = [];  // one for each of its words
const channelWords = new Map();  // channel -> the places of its words, in order of time
let lit = [];  // the words that are heard now
let paragraphStart = 0;  // the first word of the last paragraph
let tabStop = 0;  // the word that Tab stops at; the arrows go on from there
let until = Infinity;  // where the audio is to stop

// ---- From segments to words

// The words of a segment as people write them: those of a number are one.
function hearSegment(item, segment) {
  const first = item.words.length;
  segment.words.forEach((spoken, at) => {
    const last = item.words.at(-1);
    if (spoken.written === "" && last) {
      last.end = spoken.end;
      last.confidence = Math.min(last.confidence, spoken.probability);
      last.spoken.push(spoken);
    } else {
      item.words.push(newWord(spoken, !at));
    }
  });
  if (item === shown) appendWords(first);
}

// `spoken` is as the service sent it, `opens` says whether a segment begins.
function newWord(spoken, opens) {
  const text = spoken.written || spoken.word;
  return { text, start: spoken.start, end: spoken.end, confidence: spoken.probability, spoken: [spoken], opens };
}

// ---- Texts

const channelOf = (word) => word.spoken[0].channel;  // undefined where channels were mixed, or there is one
const isWritten = (word) => word.spoken[0].written !== undefined;
const textOf = (words) => joined(words.map((word) => word.text).filter(Boolean));

// Spaces between words, but for scripts that have none (as asr/scripts.py).
const UNSPACED = "\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3005-\\u3007\\u3041-\\u312f\\u31a0-\\u31bf\\u31f0-\\u31ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\uff66-\\uff9f\\u{20000}-\\u{3ffff}";
const HAS_UNSPACED = new RegExp(`[${UNSPACED}]`, "u");
const NEEDLESS = new RegExp(`(?<=[${UNSPACED}]) | (?=[${UNSPACED}])`, "gu");
const joined = (texts) => texts.join(" ").replace(NEEDLESS, "");

// ---- On the page

function showItem(item) {
  $("words").querySelector(".edit")?.blur();  // which keeps what was typed
  $("audio").pause();
  shown?.row.line.classList.remove("shown");
  shown?.row.name.removeAttribute("aria-current");
  shown = item;
  $("result").hidden = !item;
  $("words").replaceChildren();
  $("detail").textContent = "";
  wordButtons = [];
  channelWords.clear();
  lit = [];
  tabStop = paragraphStart = 0;
  current = -1;
  if (!item) return;
  item.row.line.classList.add("shown");
  item.row.name.setAttribute("aria-current", "true");
  $("result-title").textContent = item.name;
  loadAudio(item);
  appendWords(0);
}

function loadAudio(item) {
  URL.revokeObjectURL($("audio").src);
  $("audio").hidden = !item.file;
  $("soundless").textContent = item.file ? "" : "Its sound is not here any more: add the file again to hear it.";
  if (item.file) $("audio").src = URL.createObjectURL(item.file);
  else $("audio").removeAttribute("src");
}

$("audio").addEventListener("error", () => {
  $("audio").hidden = true;
  $("soundless").textContent = "This browser cannot play this kind of file; the service can read it.";
});

function appendWords(first) {
  const { words } = shown;
  $("worked").hidden = !words.length;
  for (let at = first; at < words.length; at += 1) {
    if (!at || beginsParagraph(words[at], words[at - 1], words[paragraphStart])) {
      paragraphStart = at;
      newParagraph(words[at]);
    }
    const line = $("words").lastElementChild.lastElementChild;
    wordButtons.push(wordButton(words[at], at));
    const channel = channelOf(words[at]);
    if (!channelWords.has(channel)) channelWords.set(channel, []);
    channelWords.get(channel).push(at);
    line.append(wordButtons[at], " ");
  }
  find();
  showEdits();
}

function newParagraph(word) {
  const time = element("time", { textContent: clock(word.start) });
  const speaker = element("span", { className: "speaker", dir: "ltr", textContent: speakerOf(channelOf(word)) });
  $("words").append(element("p", { dir: "auto" }, element("span", {}, time, " ", speaker), element("span")));
}

// As asr/transcript/layout.py names channels.
const speakerOf = (channel) => ["", "left", "right"][channel ?? 0] ?? `channel ${channel}`;

// Paragraphs end with a segment: with a turn, at a long pause, or when they are full; within a sentence at the longest.
function beginsParagraph(word, last, first) {
  const pause = word.start - last.end;
  if (!word.opens) return false;
  if (channelOf(word) !== channelOf(last)) return true;
  if (isWritten(last) && !/[.?!]$/.test(last.text)) return pause >= LONGEST_PAUSE_S;
  return pause >= LONG_PAUSE_S || last.end - first.start >= FULL_S;
}

function paragraphsOf(words) {
  const paragraphs = [];
  words.forEach((word, at) => {
    if (!at || beginsParagraph(word, words[at - 1], paragraphs.at(-1)[0])) paragraphs.push([]);
    paragraphs.at(-1).push(word);
  });
  return paragraphs;
}

function wordButton(word, at) {
  const made = element("button", { type: "button", tabIndex: at === tabStop ? 0 : -1 });
  made.dataset.at = at;
  dress(made, word);
  return made;
}

function dress(made, word) {
  const sure = Math.round(100 * word.confidence), edited = isEdited(word), removed = !word.text;
  const trust = edited ? "edited" : sure < 70 ? "doubt" : sure < 90 ? "unsure" : "sure";
  const what = removed ? "removed" : edited ? `edited, heard was ${heardText(word)}` : `${sure} % sure`;
  made.textContent = word.text || heardText(word);
  made.className = `word ${trust} ${removed ? "removed" : ""}`;
  made.title = `${clock(word.start)} to ${clock(word.end)}, ${what}`;
  made.setAttribute("aria-label", `${made.textContent}, at ${clock(word.start)}, ${what.replace("%", "percent")}`);
}

// ---- Playing

function play(at) {
  const word = shown.words[at];
  if (!shown.file) return;
  until = word.end + 0.12;  // a little more, so that no ending is clipped
  $("audio").currentTime = Math.max(0, word.start - 0.06);
  $("audio").play().catch(() => {});  // the next click may end it before it has begun
}

function follow() {
  const audio = $("audio"), now = audio.currentTime;
  if (now >= until) audio.pause();
  for (const one of lit) one.classList.remove("now");
  lit = [];
  if (audio.paused || !shown) return;
  for (const places of channelWords.values()) {
    const at = places[lastUpTo(places.length, (place) => shown.words[places[place]].start, now)];
    if (now < shown.words[at]?.end) lit.push(wordButtons[at]);
  }
  for (const one of lit) one.classList.add("now");
  requestAnimationFrame(follow);
}

$("audio").addEventListener("play", () => requestAnimationFrame(follow));
$("audio").addEventListener("pause", () => { until = Infinity; follow(); });
$("audio").addEventListener("loadedmetadata", () => {
  // What a browser records does not say how long it is: asking for its end makes the player look.
  const audio = $("audio");
  if (audio.duration !== Infinity) return;
  audio.addEventListener("durationchange", () => { audio.currentTime = 0; }, { once: true });
  audio.currentTime = 1e7;
});

// ---- By mouse and keyboard

const placeOf = (event) => {
  const at = event.target.closest?.(".word")?.dataset.at;
  return at === undefined ? null : Number(at);
};

function focusWord(at) {
  stopAt(at);
  wordButtons[at].focus();
}

function stopAt(at) {
  if (wordButtons[tabStop]) wordButtons[tabStop].tabIndex = -1;
  tabStop = at;
  wordButtons[at].tabIndex = 0;
}

function tell(at) {
  if (at !== null) $("detail").textContent = `${wordButtons[at].textContent}: ${wordButtons[at].title}`;
}

$("words").addEventListener("click", (event) => {
  const at = placeOf(event);
  if (at !== null) play(at);
});
$("words").addEventListener("keydown", (event) => {
  const at = placeOf(event);
  if (at === null) return;
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: wordButtons.length - 1 }[event.key];
  if (!wordButtons[to]) return;
  event.preventDefault();
  focusWord(to);
});
$("words").addEventListener("focusin", (event) => {
  const at = placeOf(event);
  if (at === null) return;
  stopAt(at);
  tell(at);
});
$("words").addEventListener("mouseover", (event) => tell(placeOf(event)));
