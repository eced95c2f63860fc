// Waveforms: their outlines for drawing, and WAV files of what is heard.
const OUTLINE_STEP = 256; // samples
const outlines = new WeakMap();

// Lowest and highest sample of every piece of a buffer, over all channels.
function outlineOf(buffer) {
  if (outlines.has(buffer)) return outlines.get(buffer);
  const count = Math.ceil(buffer.length / OUTLINE_STEP);
  const low = new Float32Array(count);
  const high = new Float32Array(count);
  for (let c = 0; c < buffer.numberOfChannels; c++) {
    const samples = buffer.getChannelData(c);
    for (let k = 0; k < count; k++) {
      const stop = Math.min(samples.length, (k + 1) * OUTLINE_STEP);
      for (let i = k * OUTLINE_STEP; i < stop; i++) {
        if (samples[i] < low[k]) low[k] = samples[i];
        if (samples[i] > high[k]) high[k] = samples[i];
      }
    }
  }
  const outline = { low, high, seconds: OUTLINE_STEP / buffer.sampleRate, peak: peakOf(low, high) };
  outlines.set(buffer, outline);
  return outline;
}

function peakOf(low, high) {
  let peak = 0;
  for (let k = 0; k < low.length; k++) peak = Math.max(peak, -low[k], high[k]);
  return peak;
}

// A WAV file of 32-bit floats.
function waveFile(buffer) {
  const channels = buffer.numberOfChannels;
  const bytes = 4 * channels * buffer.length;
  const view = new DataView(new ArrayBuffer(58 + bytes));
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 50 + bytes, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 18, true);
  view.setUint16(20, 3, true); // floats
  view.setUint16(22, channels, true);
  view.setUint32(24, buffer.sampleRate, true);
  view.setUint32(28, 4 * channels * buffer.sampleRate, true);
  view.setUint16(32, 4 * channels, true);
  view.setUint16(34, 32, true);
  text(38, "fact");
  view.setUint32(42, 4, true);
  view.setUint32(46, buffer.length, true);
  text(50, "data");
  view.setUint32(54, bytes, true);
  for (let c = 0; c < channels; c++) {
    const samples = buffer.getChannelData(c);
    for (let i = 0; i < samples.length; i++) view.setFloat32(58 + 4 * (i * channels + c), samples[i], true);
  }
  return view.buffer;
}
