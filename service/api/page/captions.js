// Live captions while the microphone records, over WS /v1/realtime (docs/http-reference.md has its events).
//
// They are a help and no more: the recording is read as a whole afterwards. Where the service, the
// browser or the network gives no captions, recording goes on without them.

const CAPTION_RATE = 16_000;
const PIECE = 1_600;  // samples sent at a time: 0.1 s
const MOST_UNSENT = 500_000;  // bytes; a network that is further behind is too slow for captions

// Runs beside the page, where sound comes in blocks of 128 samples.
const COLLECTOR = `
registerProcessor("collector", class extends AudioWorkletProcessor {
  constructor() { super(); this.piece = new Float32Array(${PIECE}); this.filled = 0; }
  process([[channel]]) {
    for (const sample of channel ?? []) {
      this.piece[this.filled++] = sample;
      if (this.filled === this.piece.length) { this.port.postMessage(this.piece); this.filled = 0; }
    }
    return true;
  }
});`;

// Show captions of a microphone's stream; returns what ends them.
function caption(stream) {
  $("captions").replaceChildren();
  $("live-note").textContent = "Captions come when somebody speaks.";
  $("live").hidden = false;
  const turns = new Map(), socket = openSession(), ears = new AbortController();
  const giveUp = (why) => {
    if (ears.signal.aborted) return;  // the first reason counts
    $("live-note").textContent = `${why} The recording goes on.`;
    ears.abort();
    socket.close();
  };
  let begun = false;
  socket.onopen = () => {
    begun = true;
    socket.send(JSON.stringify(configuration()));
    listen(stream, ears.signal, (piece) => {
      if (socket.bufferedAmount > MOST_UNSENT) giveUp("The network is too slow for captions.");
      else if (socket.readyState === WebSocket.OPEN) socket.send(appended(piece));
    }).catch(() => giveUp("This browser gives the page no sound for captions."));
  };
  socket.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (event.type === "error") giveUp(`No captions: ${event.error.message}`);
    else showCaption(turns, event);
  };
  socket.onclose = () => giveUp(begun ? "The captions end: the connection to the service is lost." : "No captions: the service gives none here.");
  return () => { ears.abort(); socket.close(); };
}

function openSession() {
  const address = new URL("v1/realtime", location.href);
  address.protocol = location.protocol.replace("http", "ws");
  if ($("model").value) address.searchParams.set("model", $("model").value);
  // A browser cannot send headers with it: the key is offered as a protocol, as OpenAI's clients do.
  const key = $("key").value ? [`openai-insecure-api-key.${$("key").value}`] : [];
  return new WebSocket(address, ["realtime", ...key]);
}

function configuration() {
  const transcription = {};
  if ($("decoder").value) transcription.decoder = $("decoder").value;
  if ($("hotwords").value.trim()) transcription.hotwords = $("hotwords").value.split(",").map((word) => word.trim()).filter(Boolean);
  const input = { format: { type: "audio/pcm", rate: CAPTION_RATE }, transcription };
  return { type: "session.update", session: { type: "transcription", audio: { input } } };
}

async function listen(stream, signal, tell) {
  const context = new AudioContext({ sampleRate: CAPTION_RATE });
  signal.addEventListener("abort", () => context.close());
  const module = URL.createObjectURL(new Blob([COLLECTOR], { type: "text/javascript" }));
  await context.audioWorklet.addModule(module);
  URL.revokeObjectURL(module);
  if (signal.aborted) return;
  const collector = new AudioWorkletNode(context, "collector", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  collector.port.onmessage = ({ data }) => signal.aborted || tell(data);
  context.createMediaStreamSource(stream).connect(collector);
}

// Samples from -1 to 1 as 16 bits, little-endian as the machine's own, in base64.
function appended(piece) {
  const whole = Int16Array.from(piece, (sample) => Math.max(-1, Math.min(1, sample)) * 32_767);
  return JSON.stringify({ type: "input_audio_buffer.append", audio: btoa(String.fromCharCode(...new Uint8Array(whole.buffer))) });
}

// Settled words stand plain and are read out; those that may still change are dimmed.
function showCaption(turns, event) {
  const kind = event.type.replace("conversation.item.input_audio_transcription.", "");
  if (!["delta", "completed", "failed"].includes(kind)) return;
  const turn = turns.get(event.item_id) ?? newTurn(turns, event.item_id);
  if (kind === "delta") turn.settled.textContent += event.delta;
  if (kind === "completed") turn.settled.textContent = event.transcript;
  turn.tentative.textContent = event.tentative ?? "";
  $("live-note").textContent = "";
  $("captions").scrollTop = $("captions").scrollHeight;
}

function newTurn(turns, id) {
  const settled = element("span"), tentative = element("span", { className: "tentative" });
  tentative.setAttribute("aria-hidden", "true");
  $("captions").append(element("p", { dir: "auto" }, settled, tentative));
  turns.set(id, { settled, tentative });
  return turns.get(id);
}
