// What is on the page, as files: made here, so that edits are in them and no network is needed.

const FORMATS = {
  txt: { write: asText, type: "text/plain" },
  srt: { write: asSrt, type: "application/x-subrip" },
  vtt: { write: asVtt, type: "text/vtt" },
  json: { write: asJson, type: "application/json" },
};
const ONE_LINE_S = 60;  // the text of a recording up to this length is one line

const kept = ({ words }) => words.filter((word) => word.text);  // an empty word was removed
const partsKept = (parts) => parts.map((words) => kept({ words })).filter((words) => words.length);

// ---- The formats, as `asr transcribe --format` writes them

function asText(item) {
  if (item.seconds <= ONE_LINE_S && channelsOf(kept(item)).length < 2) return `${textOf(item.words)}\n`;
  const paragraphs = partsKept(paragraphsOf(item.words));
  return paragraphs.map((words) => `${named(channelOf(words[0]))}${textOf(words)}\n`).join("\n") || "\n";
}

function asSrt(item) {
  const blocks = cuesOf(kept(item), item.seconds).map((cue, at) => `${at + 1}\n${span(cue, ",")}\n${named(cue.channel)}${stack(cue.lines)}`);
  return blocks.join("\n");
}

function asVtt(item) {
  const escaped = (line) => line.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const blocks = cuesOf(kept(item), item.seconds).map((cue) => `${span(cue, ".")}\n${voice(cue.channel)}${stack(cue.lines.map(escaped))}`);
  return ["WEBVTT\n", ...blocks].join("\n");
}

const named = (channel) => (channel ? `${speakerOf(channel)}: ` : "");
const voice = (channel) => (channel ? `<v ${speakerOf(channel)}>` : "");

function asJson(item) {
  const words = kept(item), all = channelsOf(words).flat().flatMap(wordsOf).sort(byStart);
  return `${JSON.stringify({
    text: textOf(words), words: all, confidence: meanConfidence(all), duration: rounded(item.seconds, 3), no_speech: !words.length,
    segments: partsKept(segmentsOf(item.words)).map(asSegment),
  })}\n`;
}

function asSegment(words) {
  const all = words.flatMap(wordsOf);
  return { text: textOf(words), start: all[0].start, end: all.at(-1).end, confidence: meanConfidence(all), channel: channelOf(words[0]), words: all };
}

// A word as the service tells it; one that was edited keeps its times, and says what was heard.
function wordsOf(word) {
  const channel = channelOf(word);
  if (!isEdited(word)) return word.spoken.map(({ word: text, written, start, end, probability }) => timed(text, written, start, end, probability, channel));
  const text = isWritten(word) ? plain(word.text) || word.text : word.text;
  const written = isWritten(word) ? word.text : undefined;
  return { ...timed(text, written, word.start, word.end, word.confidence, channel), heard: heardText(word) };
}

const timed = (text, written, start, end, confidence, channel) => ({
  text, written, start: rounded(start, 3), end: rounded(end, 3), confidence: rounded(confidence, 4), channel,
});

function segmentsOf(words) {
  const segments = [];
  for (const word of words) {
    if (word.opens || !segments.length) segments.push([]);
    segments.at(-1).push(word);
  }
  return segments;
}

const rounded = (number, digits) => Number(number.toFixed(digits));
const meanConfidence = (words) => (words.length ? rounded(words.reduce((sum, word) => sum + word.confidence, 0) / words.length, 4) : 0);
const stack = (lines) => lines.map((line) => `${line}\n`).join("");
const span = (cue, point) => `${stamp(cue.start, point)} --> ${stamp(cue.end, point)}`;

// 75.25 -> 00:01:15.250
function stamp(seconds, point) {
  const thousandths = Math.round(1000 * seconds), whole = Math.floor(thousandths / 1000);
  const two = (number) => String(number).padStart(2, "0");
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60].map(two);
  return `${parts.join(":")}${point}${String(thousandths % 1000).padStart(3, "0")}`;
}

// ---- Files

function save(item, format) {
  const { write, type } = FORMATS[format];
  download(new Blob([write(item)], { type }), `${item.name.replace(/\.[^.]*$/, "")}.${format}`);
  item.unsaved = false;
}

function download(content, name) {
  const link = element("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  say(`Saved as ${name}.`);
}

for (const format of Object.keys(FORMATS)) {
  $("copy").before(button(format.toUpperCase(), () => save(shown, format), `Save as ${format.toUpperCase()}`));
}

function saveSound(item) {
  download(item.file, `${item.name}.${/mp4/.test(item.file.type) ? "m4a" : "webm"}`);
  item.soundSaved = true;
}

// Sound of the microphone that gave no words and was not saved.
const isOnlyHere = (item) => item.recorded && item.file && item.state !== "done" && !item.soundSaved;

// ---- Copying

$("copy").addEventListener("click", async () => {
  complain("");
  if (await copied(asText(shown).trimEnd())) return say("Copied.");
  say("");
  getSelection().selectAllChildren($("words"));
  complain("This browser lets no page copy here: the text is selected, copy it by hand.");
});

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);  // only over https, and on this machine
    return true;
  } catch {
    const area = element("textarea", { value: text });
    area.style.position = "fixed";  // so that nothing scrolls to it
    $("result").append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    $("copy").focus();
    return done;
  }
}
