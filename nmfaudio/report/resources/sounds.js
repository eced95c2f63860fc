// The sounds that are embedded in the page. The loudest part of each stem is not embedded: it is the stem without
// all its other parts. So parts always add up to their stem.
const CACHED_BYTES = 2e8; // of decoded parts, which moving one more part of a stem needs again

class Sounds {
  constructor(grouping) {
    this.grouping = grouping;
    this.rate = usableRate();
    this.length = Math.round(report.samples * this.rate / report.sampleRate);
    this.decoder = new OfflineAudioContext(report.channels, 1, this.rate);
    this.stems = new Map();
    this.made = new Map();
    this.parts = new Map();
    this.cachedParts = Math.max(2, Math.floor(CACHED_BYTES / (4 * report.channels * this.length)));
  }

  // A part that is embedded; those that were used last stay decoded.
  part(number) {
    const decoded = this.parts.get(number) || this.decoded(this.grouping.parts.get(number).sound);
    this.parts.delete(number);
    this.parts.set(number, decoded);
    return decoded;
  }

  forgetOldParts() {
    for (const number of [...this.parts.keys()].slice(0, -this.cachedParts)) this.parts.delete(number);
  }

  async decoded(key) {
    const { scale } = report.sounds[key];
    const bytes = bytesOf(document.getElementById(key).textContent);
    const buffer = await this.decoder.decodeAudioData(bytes.buffer);
    if (scale !== 1) {
      for (let c = 0; c < buffer.numberOfChannels; c++) {
        const samples = buffer.getChannelData(c);
        for (let i = 0; i < samples.length; i++) samples[i] *= scale;
      }
    }
    return buffer;
  }

  stem(index) {
    if (!this.stems.has(index)) this.stems.set(index, this.decoded(report.stems[index].sound));
    return this.stems.get(index);
  }

  // The sum of some parts. Sums of the last call stay in memory as long as `keepOnly` names them.
  sum(numbers) {
    const key = numbers.join();
    if (!this.made.has(key)) this.made.set(key, this.computed(numbers));
    return this.made.get(key);
  }

  keepOnly(lists) {
    const keys = new Set(lists.map((numbers) => numbers.join()));
    for (const key of this.made.keys()) if (!keys.has(key)) this.made.delete(key);
    this.forgetOldParts();
  }

  async computed(numbers) {
    const plan = report.stems.map((_, index) => this.planOf(index, new Set(numbers)));
    const whole = plan.flatMap((some, index) => (some && some.stem && !some.parts.length ? [index] : []));
    const needed = plan.filter((some) => some !== null);
    if (needed.length === 1 && whole.length === 1) return this.stem(whole[0]);
    const total = new AudioBuffer({
      numberOfChannels: report.channels, length: this.length, sampleRate: this.rate,
    });
    for (const [index, some] of plan.entries()) {
      if (!some) continue;
      if (some.stem) addTo(total, await this.stem(index), 1);
      const buffers = await Promise.all(some.parts.map((number) => this.part(number)));
      for (const buffer of buffers) addTo(total, buffer, some.sign);
    }
    return total;
  }

  // How the wanted parts of a stem are computed: from the stem or from nothing, and from which embedded parts.
  planOf(index, numbers) {
    const parts = report.parts.filter((part) => part.stem === index);
    const wanted = parts.filter((part) => numbers.has(part.number));
    if (!wanted.length) return null;
    const needsStem = wanted.some((part) => part.sound === null);
    const used = needsStem ? parts.filter((part) => !numbers.has(part.number)) : wanted;
    return { stem: needsStem, sign: needsStem ? -1 : 1, parts: used.map((part) => part.number) };
  }
}

function addTo(total, buffer, sign) {
  for (let c = 0; c < total.numberOfChannels; c++) {
    const sums = total.getChannelData(c);
    const samples = buffer.getChannelData(c);
    const length = Math.min(sums.length, samples.length);
    for (let i = 0; i < length; i++) sums[i] += sign * samples[i];
  }
}

// The rate of the recording where the browser can play it, so that nothing is resampled.
function usableRate() {
  try {
    new OfflineAudioContext(1, 1, report.sampleRate);
    return report.sampleRate;
  } catch {
    return 48000;
  }
}
