// Pictures. All time axes show the same passage, `view`, in seconds of the preview.
const view = { start: 0, end: duration };
const SHORTEST_VIEW = 0.25; // seconds
const surfaces = new Set(); // everything with a time axis that is drawn again when the view changes

// A canvas with a time axis, a cursor and a drawing function (context, width, height).
class Surface {
  constructor(description, className, draw) {
    this.canvas = element("canvas", { role: "img", "aria-label": description });
    this.cursor = element("div", { class: "cursor", "aria-hidden": "true" });
    this.node = element("div", { class: `surface ${className}` }, this.canvas, this.cursor);
    this.draw = draw;
    this.node.surface = this;
    surfaces.add(this);
  }

  timeAt(clientX) {
    const box = this.canvas.getBoundingClientRect();
    const part = clamped((clientX - box.left) / box.width, 0, 1);
    return view.start + part * (view.end - view.start);
  }

  refresh() {
    drawCanvas(this.canvas, this.draw);
  }

  showCursor(seconds) {
    const part = (seconds - view.start) / (view.end - view.start);
    this.cursor.hidden = part < 0 || part > 1;
    this.cursor.style.transform = `translateX(${part * this.canvas.clientWidth}px)`;
  }
}

function drawCanvas(canvas, draw) {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width || !height) return;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  draw(context, width, height);
}

function forgetSurfaces() {
  for (const surface of surfaces) if (!surface.node.isConnected) surfaces.delete(surface);
}

function styleValue(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function xOf(seconds, width) {
  return (seconds - view.start) / (view.end - view.start) * width;
}

// The spectrogram is coloured once; drawing copies the part in view.
const spectrogram = report.spectrogram;
const MAP = [[0, 0, 4], [40, 11, 84], [101, 21, 110], [159, 42, 99], [212, 72, 66], [245, 125, 21],
  [250, 193, 39], [252, 255, 164]]; // colours of increasing lightness
let colouredSpectrogram = null;

function coloured() {
  if (colouredSpectrogram) return colouredSpectrogram;
  const { rows, columns } = spectrogram;
  const levels = bytesOf(spectrogram.levels);
  const picture = new ImageData(columns, rows);
  const palette = Array.from({ length: 256 }, (_, level) => mapped(level / 255));
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const colour = palette[levels[row * columns + column]];
      const at = 4 * ((rows - 1 - row) * columns + column);
      picture.data.set(colour, at);
      picture.data[at + 3] = 255;
    }
  }
  colouredSpectrogram = element("canvas");
  colouredSpectrogram.width = columns;
  colouredSpectrogram.height = rows;
  colouredSpectrogram.getContext("2d").putImageData(picture, 0, 0);
  return colouredSpectrogram;
}

function mapped(value) {
  const position = value * (MAP.length - 1);
  const index = Math.min(MAP.length - 2, Math.floor(position));
  const part = position - index;
  return MAP[index].map((low, c) => low + part * (MAP[index + 1][c] - low));
}

function yOf(hertz, height) {
  const { low, high } = spectrogram;
  return height * (1 - Math.log(hertz / low) / Math.log(high / low));
}

function hertzAt(y, height) {
  const { low, high } = spectrogram;
  return low * (high / low) ** clamped(1 - y / height, 0, 1);
}

function drawSpectrogram(context, width, height) {
  const picture = coloured();
  const perSecond = 1 / spectrogram.seconds;
  context.imageSmoothingEnabled = (view.end - view.start) * perSecond > width / 4;
  const wanted = (view.end - view.start) * perSecond;
  context.drawImage(picture, view.start * perSecond, 0, wanted, picture.height, 0, 0, width, height);
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  for (const hertz of [50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000]) {
    const y = yOf(hertz, height);
    if (y < 10 || y > height - 24) continue;
    context.fillStyle = "rgba(255, 255, 255, 0.22)";
    context.fillRect(0, y, width, 0.5);
    labelled(context, frequencyText(hertz), 5, y);
  }
  drawTimes(context, width, height);
}

function labelled(context, text, x, y) {
  context.lineWidth = 3;
  context.strokeStyle = "rgba(0, 0, 0, 0.75)";
  context.strokeText(text, x, y);
  context.fillStyle = "#fff";
  context.fillText(text, x, y);
}

function drawTimes(context, width, height) {
  const span = view.end - view.start;
  const steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120];
  const step = steps.find((some) => some / span * width >= 64) || 300;
  const digits = step >= 1 ? 0 : step >= 0.1 ? 1 : 2;
  const first = Math.ceil((report.start + view.start) / step) * step;
  for (let time = first; time <= report.start + view.end; time += step) {
    const x = xOf(time - report.start, width);
    if (x < 2 || x > width - 40) continue;
    context.fillStyle = "rgba(255, 255, 255, 0.6)";
    context.fillRect(x, height - 6, 1, 6);
    labelled(context, timeText(time, digits), x + 4, height - 9);
  }
}

function drawWave(buffer, colour) {
  return (context, width, height) => {
    context.fillStyle = styleValue("--line");
    context.fillRect(0, height / 2, width, 1);
    if (!buffer()) return;
    const { low, high, seconds, peak } = outlineOf(buffer());
    context.fillStyle = colour();
    const scale = (height / 2 - 1) / (peak || 1);
    for (let x = 0; x < width; x++) {
      const first = Math.floor((view.start + x / width * (view.end - view.start)) / seconds);
      const last = Math.max(first + 1, Math.floor((view.start + (x + 1) / width * (view.end - view.start)) / seconds));
      let bottom = 0;
      let top = 0;
      for (let k = first; k < Math.min(last, low.length); k++) {
        bottom = Math.min(bottom, low[k]);
        top = Math.max(top, high[k]);
      }
      context.fillRect(x, height / 2 - top * scale, 1, Math.max(1, (top - bottom) * scale));
    }
  };
}

function drawActivation(activation, colour) {
  const values = bytesOf(activation.values);
  return (context, width, height) => {
    context.fillStyle = colour();
    for (let x = 0; x < width; x++) {
      const time = report.start + view.start + x / width * (view.end - view.start) - activation.start;
      const next = time + (view.end - view.start) / width;
      const first = clamped(Math.floor(time / activation.seconds), 0, values.length - 1);
      const last = clamped(Math.floor(next / activation.seconds), first, values.length - 1);
      let top = 0;
      for (let k = first; k <= last; k++) top = Math.max(top, values[k]);
      const size = top / 255 * (height - 2);
      context.fillRect(x, height - size, 1, size);
    }
  };
}

// Templates that last one frame are drawn as a curve for each channel, longer ones as a picture.
function drawTemplate(template, colour) {
  const levels = bytesOf(template.levels);
  const { channels, lags, rows } = template;
  return (context, width, height) => {
    if (lags > 1) return drawLags(context, width, height, levels, template, colour());
    for (let c = 0; c < channels; c++) {
      context.beginPath();
      context.moveTo(0, height);
      for (let row = 0; row < rows; row++) {
        const y = height - levels[c * rows + row] / 255 * (height - 2);
        context.lineTo(row / rows * width, y);
        context.lineTo((row + 1) / rows * width, y);
      }
      context.lineTo(width, height);
      context.closePath();
      context.globalAlpha = channels > 1 ? 0.35 : 0.5;
      context.fillStyle = colour();
      context.fill();
      context.globalAlpha = 1;
      context.strokeStyle = colour();
      context.lineWidth = 1;
      context.setLineDash(c ? [3, 2] : []);
      context.stroke();
    }
    context.setLineDash([]);
    return undefined;
  };
}

function drawLags(context, width, height, levels, { lags, rows }, colour) {
  context.fillStyle = colour;
  for (let lag = 0; lag < lags; lag++) {
    for (let row = 0; row < rows; row++) {
      const level = levels[lag * rows + row] / 255;
      if (level < 0.25) continue;
      context.globalAlpha = (level - 0.25) / 0.75;
      const top = height * (1 - (row + 1) / rows);
      context.fillRect(lag / lags * width, top, width / lags + 0.5, height / rows + 0.5);
    }
  }
  context.globalAlpha = 1;
}

function drawConvergence(context, width, height) {
  const { iterations, objectives } = report.convergence;
  const points = objectives.flatMap((value, i) => (value === null ? [] : [[iterations[i], value]]));
  const values = points.map(([, value]) => value);
  const positive = Math.min(...values) > 0;
  const shape = positive ? Math.log : (value) => value;
  const [low, high] = [shape(Math.min(...values)), shape(Math.max(...values))];
  const [first, last] = [iterations[0], iterations.at(-1)];
  const left = 70;
  const bottom = height - 34;
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = styleValue("--muted");
  context.textAlign = "right";
  context.fillText(Math.max(...values).toPrecision(4), left - 8, 18);
  context.fillText(Math.min(...values).toPrecision(4), left - 8, bottom);
  context.textAlign = "left";
  context.fillText(String(first), left, bottom + 16);
  context.textAlign = "right";
  context.fillText(String(last), width - 8, bottom + 16);
  context.textAlign = "center";
  context.fillText("number of updates", left + (width - left) / 2, height - 4);
  context.strokeStyle = styleValue("--line");
  context.strokeRect(left, 8, width - left - 8, bottom - 8);
  context.strokeStyle = styleValue("--accent");
  context.lineWidth = 2;
  context.beginPath();
  for (const [iteration, value] of points) {
    const x = left + (iteration - first) / (last - first || 1) * (width - left - 8);
    const y = bottom - (shape(value) - low) / (high - low || 1) * (bottom - 12);
    context.lineTo(x, y);
  }
  context.stroke();
}

function setView(start, end) {
  const span = clamped(end - start, Math.min(SHORTEST_VIEW, duration), duration);
  view.start = clamped(start, 0, duration - span);
  view.end = view.start + span;
  refreshAll();
}

function zoom(factor, center) {
  const span = (view.end - view.start) * factor;
  const part = (center - view.start) / (view.end - view.start);
  const kept = part >= 0 && part <= 1 ? part : 0.5;
  const middle = part >= 0 && part <= 1 ? center : (view.start + view.end) / 2;
  setView(middle - kept * span, middle - kept * span + span);
}

let isRefreshWanted = false;
function refreshAll() {
  if (isRefreshWanted) return;
  isRefreshWanted = true;
  requestAnimationFrame(() => {
    isRefreshWanted = false;
    forgetSurfaces();
    for (const surface of surfaces) surface.refresh();
    for (const canvas of document.querySelectorAll("canvas")) if (canvas.paint) drawCanvas(canvas, canvas.paint);
  });
}
