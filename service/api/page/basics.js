"use strict";
// Small things that all parts use.

const $ = (id) => document.getElementById(id);

// Texts become text nodes and properties: nothing that comes from outside is ever read as markup.
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function button(text, act, label = text) {
  const made = element("button", { type: "button", textContent: text, onclick: act });
  made.setAttribute("aria-label", label);
  return made;
}

// 75.25 -> 1:15.2
function clock(seconds) {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  const rest = String(Math.floor(tenths / 10) % 60).padStart(2, "0");
  const minutes = Math.floor(tenths / 600);
  const hours = Math.floor(minutes / 60);
  const whole = hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}` : minutes;
  return `${whole}:${rest}.${tenths % 10}`;
}

function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  const step = Math.min(3, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${Number((bytes / 1000 ** step).toPrecision(3))} ${units[step]}`;
}

const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

function randomId() {  // crypto.randomUUID is there over https alone
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}

const say = (text) => { $("status").textContent = text; };
const complain = (text) => { $("alert").textContent = text; $("alert").hidden = !text; };

// The last place in an ascending row whose value is at most a limit; -1 if there is none.
function lastUpTo(length, valueAt, limit) {
  let low = 0, high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (valueAt(middle) <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
