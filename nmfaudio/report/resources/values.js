// The data of the page, and how values are written.
const report = JSON.parse(document.getElementById("data").textContent);
const duration = report.samples / report.sampleRate;
// The palette of Okabe and Ito, which colour-blind people can tell apart; more stems repeat it.
const LIGHT = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666"];
const DARK = ["#4FA8E0", "#FF8A4C", "#2FCB9F", "#EBA3CB", "#FFC04D", "#9AD8FF", "#BBBBBB"];
const darkScheme = window.matchMedia("(prefers-color-scheme: dark)");

function colourOf(index) {
  const palette = darkScheme.matches ? DARK : LIGHT;
  return palette[index % palette.length];
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// Times in the page are counted from the start of the run; the preview may begin later.
function timeText(seconds, digits = 1) {
  const rounded = Number(seconds.toFixed(digits));
  const minutes = Math.floor(rounded / 60);
  const rest = (rounded - 60 * minutes).toFixed(digits);
  return `${minutes}:${rest.padStart(digits ? digits + 3 : 2, "0")}`;
}

function percentText(share) {
  const percent = 100 * share;
  return `${percent >= 9.95 ? percent.toFixed(0) : percent.toFixed(1)} %`;
}

function frequencyText(hertz) {
  return hertz >= 1000 ? `${+(hertz / 1000).toPrecision(3)} kHz` : `${Math.round(hertz)} Hz`;
}

function clamped(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

// A word for a POSIX shell.
function shellWord(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}
