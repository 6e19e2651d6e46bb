// What OpenAI's client for Node has from a server: node openai_client.cjs ADDRESS WAV

const fs = require("fs");
const net = require("net");
const { OpenAI } = require("openai");
const { OpenAIRealtimeWS } = require("openai/realtime/ws");

const [address, path] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "none", maxRetries: 0 });

function transcription(fields) {
  const file = fs.createReadStream(path);
  return client.audio.transcriptions.create({ file, model: "whisper-1", ...fields });
}

async function streamed() {
  let text = "";
  for await (const event of await transcription({ stream: true })) {
    if (event.type === "transcript.text.delta") text += event.delta;
  }
  return text;
}

async function refused() {
  try {
    await transcription({ language: "fr" });
  } catch (error) {
    return { status: error.status, param: error.param, isApiError: error instanceof OpenAI.APIError };
  }
}

function live() {
  return new Promise((resolve, reject) => {
    // It speaks TLS only, as it would to a proxy in front of the service; here there is none.
    const { hostname, port } = new URL(address);
    const options = { createConnection: () => net.connect(Number(port), hostname) };
    const session = new OpenAIRealtimeWS({ model: "gpt-live-transcribe", options }, client);
    const input = { format: { type: "audio/pcm", rate: 16000 }, turn_detection: null };
    session.on("error", reject);
    session.on("session.created", () =>
      session.send({ type: "session.update", session: { type: "transcription", audio: { input } } }));
    session.on("session.updated", () => {
      const audio = fs.readFileSync(path).subarray(44).toString("base64"); // behind the header
      session.send({ type: "input_audio_buffer.append", audio });
      session.send({ type: "input_audio_buffer.commit" });
    });
    session.on("conversation.item.input_audio_transcription.completed", (event) => {
      session.close();
      resolve(event.transcript);
    });
  });
}

async function main() {
  const whole = await transcription({ response_format: "verbose_json", timestamp_granularities: ["word"] });
  const diarized = await transcription({ response_format: "diarized_json", channels: "split" });
  console.log(JSON.stringify({
    text: (await transcription({})).text,
    words: whole.words.map((word) => word.word),
    speakers: diarized.segments.map((segment) => segment.speaker),
    streamed: await streamed(),
    refused: await refused(),
    live: await live(),
  }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
