// The microphone: what is said becomes one more recording in the queue.

let recorder = null;
let asked = false;  // for the microphone, and nobody has answered yet
const BITS_PER_SECOND = 24_000;  // two hours in a request; at the 128,000 of browsers it would be half an hour

const canRecord = Boolean(navigator.mediaDevices && window.MediaRecorder);
$("microphone").hidden = canRecord;
$("record").disabled = !canRecord;
$("record").addEventListener("click", () => {
  if (recorder) recorder.stop();
  else if (!asked) record();
});

async function record() {
  complain("");
  let stream;
  asked = true;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch (error) {
    return complain(whyNoMicrophone(error));
  } finally {
    asked = false;
  }
  showItem(null);
  const chunks = [], began = performance.now(), stopCaptions = caption(stream);
  recorder = new MediaRecorder(stream, { audioBitsPerSecond: BITS_PER_SECOND });
  const stopMeter = meter(stream, () => {
    $("record").textContent = `Stop (${clock((performance.now() - began) / 1000).slice(0, -2)})`;
  });
  recorder.ondataavailable = (event) => chunks.push(event.data);
  recorder.onstop = () => {
    const file = new Blob(chunks, { type: recorder.mimeType });
    stopMeter();
    stopCaptions();
    stream.getTracks().forEach((track) => track.stop());
    recorder = null;
    $("record").className = "";
    $("record").textContent = "Record";
    take(file);
  };
  recorder.start();
  $("record").className = "on";
  say("Recording …");
}

function take(file) {
  const item = Object.assign(newItem(file, `Recording of ${new Date().toLocaleTimeString()}`), { recorded: true });
  add(item);
  showItem(item);
  pump();
}

function whyNoMicrophone(error) {
  if (error.name === "NotAllowedError") return "This browser keeps the microphone from the page: allow it beside the address, then press Record again.";
  if (error.name === "NotFoundError") return "There is no microphone: plug one in, then press Record again.";
  return `The microphone cannot be used (${error.message || error.name}): end other programs that use it, then press Record again.`;
}

// The level on the button, and `tick`, ten times a second; returns what ends both.
function meter(stream, tick) {
  const context = new AudioContext(), analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    $("record").style.setProperty("--level", Math.min(1, 4 * Math.sqrt(power)).toFixed(2));
    tick();
  }, 100);
  return () => { clearInterval(timer); context.close(); };
}
