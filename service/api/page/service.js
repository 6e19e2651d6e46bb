// The service: its limits, requests to it, its events, and what its refusals mean for people.

const LIMITS = JSON.parse(document.querySelector("meta[name=limits]").content);
const LONGEST_WAIT_S = 90;  // a refusal that asks for more is told, not waited for

class Refusal extends Error {
  // `status` is 0 where the service gave no answer, and `wait` the seconds after which another try may succeed.
  constructor(message, status = 0, wait = NaN) {
    super(message);
    Object.assign(this, { status, wait });
  }
}

const ADVICE = {  // where the service's own sentence speaks to programmers
  invalid_api_key: "The service does not know this key, or asks for one: enter it above, then try again.",
  job_not_found: "This job was cancelled elsewhere, or the service has forgotten it.",
  upload_too_large: "This is larger than the service takes: cut it into parts, or save it as mp3, m4a or ogg.",
};

function refusalOf(status, text, retryAfter = null) {
  const error = parsed(text)?.error;
  const message = error ? ADVICE[error.code] ?? error.message : answerOfAProxy(status);
  const isAnswer = error || !(status >= 502);
  return new Refusal(message, isAnswer ? status : 0, retryAfter === null ? NaN : Number(retryAfter));
}

const parsed = (text) => { try { return JSON.parse(text); } catch { return null; } };

// What a proxy before the service answers is no JSON, and says nothing to people.
function answerOfAProxy(status) {
  if (status === 413) return "The recording is larger than a proxy before this service takes: send a shorter one, or a compressed one (mp3, m4a, ogg).";
  if (status >= 502) return `A proxy before this service got no answer from it (status ${status}): try again in a minute.`;
  return `The answer did not come from this service (status ${status}): ask who runs it.`;
}

const unreachable = () => new Refusal("The service cannot be reached: look at your network, then try again. What was done stays here.");

const withKey = () => ($("key").value ? { authorization: `Bearer ${$("key").value}` } : {});

// Post a form; `sent` is told which share of it has arrived, `heard` the answer as far as it came.
function post(path, form, { headers = {}, signal, sent, heard }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();  // as fetch does not tell how much was sent
    request.open("POST", path);
    for (const [name, value] of Object.entries({ ...withKey(), ...headers })) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => sent(event.loaded / event.total);
    request.onprogress = () => {
      if (request.status !== 200) return;
      try { heard(request.responseText); } catch (error) { reject(error); request.abort(); }
    };
    request.onload = () => (request.status < 300
      ? resolve(request.responseText)
      : reject(refusalOf(request.status, request.responseText, request.getResponseHeader("retry-after"))));
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

async function ask(path, options = {}) {
  const headers = { ...withKey(), ...options.headers };
  const response = await fetch(path, { ...options, headers }).catch((error) => {
    throw options.signal?.aborted ? error : unreachable();
  });
  if (!response.ok) throw refusalOf(response.status, await response.text(), response.headers.get("retry-after"));
  return response;
}

// Reads server-sent events from pieces of a text, wherever it is cut.
function eventReader(tell) {
  let rest = "";
  return (piece) => {
    const blocks = (rest + piece).split("\n\n");
    rest = blocks.pop();
    blocks.map(eventOf).filter(Boolean).forEach(tell);
  };
}

function eventOf(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const [, name, value] = line.match(/^(\w+): ?(.*)$/) ?? [];
    if (name) fields[name] = value;
  }
  return fields.data && { ...JSON.parse(fields.data), number: fields.id };
}

async function readEvents(path, options, tell) {
  const response = await ask(path, options);
  const read = eventReader(tell);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      throw options.signal.aborted ? error : unreachable();
    });
    if (done) return;
    read(value);
  }
}

// Do it again when the service says so: it is busy, or the key has too much under way.
async function patiently(signal, tellWait, work) {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error.wait <= LONGEST_WAIT_S)) throw error;
      for (let left = Math.max(1, error.wait); left > 0; left -= 1) {
        tellWait(left, error.message);
        await sleep(1, signal);
      }
    }
  }
}

// The models to choose from; where a key is needed, it is asked for before anything is uploaded.
async function listModels() {
  try {
    const { data } = await (await ask("v1/models")).json();
    const chosen = $("model").value;
    $("model").replaceChildren($("model").options[0], ...data.map(({ id }) => new Option(id, id)));
    $("model").value = data.some(({ id }) => id === chosen) ? chosen : "";
    $("locked").hidden = !$("key").value;
  } catch (error) {
    if (error.status === 401) askForKey();
    else if ([0, 503].includes(error.status)) setTimeout(listModels, 3000);
  }
}

function askForKey() {
  $("locked").hidden = false;
}
