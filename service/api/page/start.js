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
