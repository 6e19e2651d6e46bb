// The queue: recordings on their way to words, one upload at a time.
//
// A short recording is one request, whose answer is a stream of segments. A long one is a job, where
// the service has jobs: it survives a lost connection, and tells its place and how far it is.

const AT_ONCE = 3;  // a browser allows six connections, and each job that is followed takes one
const JOB_BYTES = 4_000_000;  // some four minutes of mp3, or two of wav
const RECONNECT_S = 3;
const UNDER_WAY = ["sending", "queued", "reading"];

const NO_SOUND = /^((text|image|font|model)\/|application\/(json|msword|pdf|xml|zip|vnd\.(ms-|oasis|openxml)))/;

const items = [];

function newItem(file, name) {
  return {
    id: randomId(), attempt: randomId(), added: Date.now(), changed: Date.now(), kept: false, file, name, state: "waiting", share: null, place: null, note: "",
    words: [], seconds: 0, job: null, undone: [], redone: [], cancel: new AbortController(),
  };
}

// ---- What goes in

function addFiles(files) {
  complain("");
  const added = Array.from(files, (file) => add(newItem(file, file.name)));
  const first = added.find((item) => item.state === "waiting");
  if (first) showItem(first);
  pump();
}

function add(item) {
  items.push(item);
  seen.add(item.id);
  item.row = newRow(item);
  $("queue").append(item.row.line);
  $("recordings").hidden = false;
  const wrong = item.file && unfit(item.file);
  if (wrong && !(item.recorded && item.file.size)) item.file = null;  // nothing to try again, or to save
  if (wrong) fail(item, wrong);
  else change(item, {});
  return item;
}

// What is wrong with a file, as far as can be said before it is uploaded.
function unfit(file) {
  const most = Math.max(LIMITS.bytes, LIMITS.job_bytes ?? 0) - 10_000;  // the form's other parts
  if (!file.size) return "This file is empty: choose another one.";
  if (file.size > most) return `This file has ${size(file.size)}, and the service takes ${size(most)}: cut it into parts, or save it as mp3, m4a or ogg.`;
  if (NO_SOUND.test(file.type)) return `This is not a recording (${file.type}): choose a file of sound or film.`;
  return "";
}

const goesAsJob = ({ file, job }) => job || (LIMITS.job_bytes && file.size > Math.min(JOB_BYTES, LIMITS.bytes - 10_000));

// ---- What is done with it

// One upload after the other, so that the service gets them in their order.
function pump() {
  const underWay = items.filter((item) => UNDER_WAY.includes(item.state));
  const waiting = items.filter((item) => item.state === "waiting");
  const free = underWay.length < AT_ONCE && !underWay.some((item) => item.state === "sending");
  if (free && waiting.length) run(waiting.shift());
  waiting.forEach((item, at) => change(item, { place: at + 1 }));
}

async function run(item) {
  item.cancel = new AbortController();
  change(item, { state: item.job ? "queued" : "sending", share: item.job ? null : 0, place: null, note: "" });
  const tellWait = (left, why) => change(item, { state: "queued", share: null, place: null, note: `${why} Trying again in ${left} s.` });
  try {
    await patiently(item.cancel.signal, tellWait, () => (goesAsJob(item) ? runJob : runRequest)(item));
    finish(item);
  } catch (error) {
    stop(item, await causeOf(error, item));
  }
  pump();
}

function finish(item) {
  const { job } = item;
  if (!(job && takeFromMemory(item))) touch(item);  // another tab may have been first, and corrected some
  change(item, { state: "done", share: null, note: "", job: null });
  say(`${item.name}: ${summary(item)}`);
  if (item.recorded && !recorder) $("live").hidden = true;  // the whole is better than its captions
  if (!shown?.words.length && !recorder) showItem(item);
  remember();
  if (job) forgetJob(job);  // only now: another tab that follows it finds the words in the memory
}

// Of a file that it cannot read a browser tells only that no answer came.
async function causeOf(error, item) {
  if (error.status !== 0 || !item.file || await isReadable(item.file)) return error;
  item.file = null;
  return new Refusal("This file cannot be read: it is a folder, or was changed or removed. Choose it again.");
}

const isReadable = (file) => file.slice(0, 1).arrayBuffer().then(() => true, () => false);

function stop(item, error) {
  if (item.cancel.signal.aborted) {
    change(item, { state: "cancelled", share: null, note: "" });
  } else {
    if (error.status === 401) askForKey();
    if (error.status !== 0) item.attempt = randomId();  // where no answer came, the same job may be there
    fail(item, error.message, error.status);
  }
  touch(item);
  remember();  // that there is no job to follow any more
}

function fail(item, message, status = NaN) {
  change(item, { state: "failed", share: null, note: message, status });
  if (item === shown && !item.words.length) showItem(items.findLast((other) => other.words.length) ?? null);
}

function formOf(item, more) {
  const form = new FormData();
  const chosen = Object.fromEntries(["model", "decoder", "channels"].map((id) => [id, $(id).value]));
  const fields = { ...chosen, hotwords: $("hotwords").value.trim(), ...more };
  for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
  form.append("file", item.file, item.name);
  return form;
}

async function runRequest(item) {
  startOver(item);
  const read = eventReader((event) => hear(item, event));
  let seen = 0;
  const heard = (text) => { read(text.slice(seen)); seen = text.length; };
  const sent = (share) => {
    change(item, share < 1 ? { share } : { state: "reading", share: null });
    pump();
  };
  const options = { signal: item.cancel.signal, sent, heard };
  heard(await post("v1/audio/transcriptions", formOf(item, { stream: "true" }), options));
  if (item.seconds === null) throw unreachable();  // the stream broke off
}

async function runJob(item) {
  const headers = { "idempotency-key": item.attempt };
  const sent = (share) => change(item, { share });
  const options = { headers, signal: item.cancel.signal, sent, heard: () => {} };
  item.job ??= JSON.parse(await post("v1/jobs", formOf(item), options)).id;
  change(item, { state: "queued", share: null });
  remember();
  pump();
  await followJob(item);
}

// The events of a job to its end, however often the connection is lost.
async function followJob(item) {
  const path = `v1/jobs/${item.job}`, signal = item.cancel.signal;
  startOver(item);
  let ended = false, last = 0;
  const tell = (event) => {
    ended ||= ["job.done", "job.failed", "job.deleted"].includes(event.type);
    last = event.number ?? last;
    hear(item, event);
  };
  try {
    while (!ended) {
      await readEvents(`${path}/events`, { signal, headers: { "last-event-id": String(last) } }, tell).catch((error) => {
        if (error.status !== 0) throw error;
        change(item, { note: "The connection is lost; the service goes on. Trying again." });
      });
      if (!ended) await sleep(RECONNECT_S, signal);
    }
  } catch (error) {
    if (!signal.aborted && takeFromMemory(item)) return;
    if (!(error.wait <= LONGEST_WAIT_S || error.status === 401)) {
      forgetJob(item.job);
      item.job = null;
    }
    throw error;
  }
}

// Its words are here, or nobody wants them: the service need not keep them.
function forgetJob(job) {
  ask(`v1/jobs/${job}`, { method: "DELETE" }).catch(() => {});
}

function startOver(item) {
  Object.assign(item, { words: [], seconds: null, undone: [], redone: [], unsaved: false });
  if (shown === item) showItem(item);
}

// An event of a stream or a job.
function hear(item, event) {
  if (event.error) throw refusalOf(NaN, JSON.stringify(event));
  if (event.words) hearSegment(item, event);
  switch (event.type) {
    case "job.progress": {
      const waits = event.state === "waiting";
      return change(item, { state: waits ? "queued" : "reading", place: event.place, share: waits ? null : event.heard / event.seconds, note: "" });
    }
    case "transcript.text.delta": return change(item, { state: "reading", note: "" });
    case "transcript.text.done": return change(item, { seconds: event.duration });
    case "job.done": return change(item, { seconds: event.duration });
    case "job.deleted": throw new Refusal(ADVICE.job_not_found, NaN);
  }
}

// ---- What is seen of it

function newRow(item) {
  const name = button(item.name, () => { showItem(item); $("result-title").focus(); }, `Show ${item.name}`);
  name.className = "name";
  name.dir = "auto";
  const state = element("p", { className: "state" });
  const progress = element("progress", { max: 1 });
  progress.setAttribute("aria-label", `Progress of ${item.name}`);
  const actions = element("div", { className: "actions" });
  return { line: element("li", {}, name, state, progress, actions), name, state, progress, actions };
}

function change(item, changes) {
  const before = item.state;
  Object.assign(item, changes);
  const { row } = item;
  if (!row.actions.childElementCount || before !== item.state) showActions(item);
  row.name.disabled = !item.words.length && item.state !== "done";
  row.state.classList.toggle("failed", item.state === "failed");
  if (item.state === "failed") row.state.setAttribute("role", "alert");  // before its text, which is then read out
  else row.state.removeAttribute("role");
  row.state.textContent = stateText(item);
  row.progress.hidden = !UNDER_WAY.includes(item.state);
  if (item.share === null) row.progress.removeAttribute("value");
  else row.progress.value = item.share;
}

function stateText({ state, share, place, note, words, ...item }) {
  if (note) return note;
  const percent = share === null ? "" : `, ${Math.floor(100 * share)} %`;
  switch (state) {
    case "waiting": return `Waiting, place ${place ?? 1}`;
    case "sending": return `Uploading${percent}`;
    case "queued": return place ? `In the service's queue, place ${place}` : "In the service's queue";
    case "reading": return words.length && !percent ? `Reading, ${clock(words.at(-1).end)} heard` : `Reading${percent}`;
    case "done": return summary({ words, ...item });
    case "cancelled": return "Cancelled";
  }
}

function summary({ words, seconds }) {
  return words.length ? `${count(words.length, "word")} in ${clock(seconds)}` : "Nothing was said in it";
}

function showActions(item) {
  const actions = [];
  const act = (text, work) => actions.push(button(text, work, `${text}: ${item.name}`));
  if (UNDER_WAY.includes(item.state)) act("Cancel", () => cancel(item));
  else {
    if (["failed", "cancelled"].includes(item.state) && item.file) act("Try again", () => tryAgain(item));
    if (item.recorded && item.file) act("Save sound", () => saveSound(item));
    act("Remove", () => remove(item));
  }
  const had = item.row.actions.contains(document.activeElement);
  item.row.actions.replaceChildren(...actions);
  if (had) actions[0].focus();
}

function tryAgain(item) {
  if (item.unsaved && !confirm(`${item.name} has corrections that are not saved. Read it anew?`)) return;
  showItem(item);
  again(item);
}

function again(item) {
  change(item, { state: "waiting", note: "" });
  pump();
}

function cancel(item) {
  item.cancel.abort();
}

function remove(item) {
  if (item.unsaved && !confirm(`${item.name} has corrections that are not saved. Remove it?`)) return;
  if (isOnlyHere(item) && !confirm(`The sound of ${item.name} is not saved, and nowhere else. Remove it?`)) return;
  const at = items.indexOf(item);
  items.splice(at, 1);
  item.row.line.remove();
  if (shown === item) showItem(null);
  if (item.recorded && !recorder) $("live").hidden = true;
  $("recordings").hidden = !items.length;
  (items[at] ?? items[at - 1])?.row.actions.lastElementChild.focus();
  if (!items.length) $("file").focus();
  remember();
  pump();
}
