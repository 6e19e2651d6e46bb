// What the page does at its start.

$("limit").textContent = LIMITS.job_bytes
  ? `Up to ${size(LIMITS.job_bytes)} and ${hours(LIMITS.job_seconds)} each.`
  : `Up to ${size(LIMITS.bytes)} and ${hours(LIMITS.seconds)} each.`;

function hours(seconds) {
  return seconds < 7200 ? count(Math.round(seconds / 60), "minute") : count(Number((seconds / 3600).toPrecision(2)), "hour");
}

$("file").addEventListener("change", () => {
  addFiles($("file").files);
  $("file").value = "";
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") addFiles(event.dataTransfer.files);
  });
}
// A list of lines, which a field of one line would join to one phrase.
$("hotwords").addEventListener("paste", (event) => {
  const field = event.target, lines = event.clipboardData.getData("text/plain").split(/[\r\n]+/).map((line) => line.trim()).filter(Boolean);
  if (lines.length < 2) return;
  event.preventDefault();
  field.setRangeText(lines.join(", "), field.selectionStart, field.selectionEnd, "end");
});
$("locked").addEventListener("submit", (event) => {
  event.preventDefault();
  listModels();
  items.filter((item) => item.state === "failed" && item.status === 401).forEach(again);
});
addEventListener("beforeunload", (event) => {
  if (recorder || items.some(wouldBeLost)) event.preventDefault();
});

// Whether an item has work or sound that is nowhere else.
function wouldBeLost(item) {
  const isKept = $("remember").checked, isUnderWay = item.state === "waiting" || UNDER_WAY.includes(item.state);
  if (item.unsaved && !isKept) return true;
  return isUnderWay ? !(item.job && isKept) : isOnlyHere(item);
}

recall();
listModels();
