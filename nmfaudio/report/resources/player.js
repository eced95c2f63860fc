// Plays all stems on one clock: every buffer is started at one time of one context, with a gain of its own.
const LEAD_SECONDS = 0.06;
const RAMP_SECONDS = 0.015; // of gains, against clicks

class Player {
  constructor(sounds) {
    this.sounds = sounds;
    this.context = null;
    this.tracks = new Map(); // by key: buffer, level, and while playing: source and gain
    this.offset = 0; // seconds in the preview where playing starts
    this.stopAt = null; // seconds where playing ends, when a region is played
    this.isPlaying = false;
  }

  get position() {
    if (!this.isPlaying) return this.offset;
    const heard = this.context.currentTime - (this.context.outputLatency || 0);
    return clamped(heard - this.origin, this.startOffset, duration);
  }

  play() {
    if (this.isPlaying) return;
    this.context ||= new AudioContext({ sampleRate: this.sounds.rate });
    this.context.resume();
    if (this.offset >= duration - 0.001) this.offset = 0;
    this.startOffset = this.offset;
    const when = this.context.currentTime + LEAD_SECONDS;
    this.origin = when - this.offset;
    this.isPlaying = true;
    for (const track of this.tracks.values()) this.start(track, when);
  }

  pause() {
    if (!this.isPlaying) return;
    this.offset = this.position;
    this.isPlaying = false;
    this.stopAt = null;
    for (const track of this.tracks.values()) this.stop(track);
  }

  seek(seconds) {
    const wasPlaying = this.isPlaying;
    this.pause();
    this.offset = clamped(seconds, 0, duration);
    if (wasPlaying && this.offset < duration) this.play();
  }

  playPassage(start, end) {
    this.pause();
    this.offset = clamped(start, 0, duration);
    this.play();
    this.stopAt = end;
  }

  // Called now and then: ends playing at the end of the passage or of the recording.
  check() {
    if (!this.isPlaying) return;
    if (this.stopAt !== null && this.position >= this.stopAt) this.pause();
    else if (this.position >= duration - 0.001) {
      this.pause();
      this.offset = 0;
    }
  }

  // Replaces what is played. `wanted`: map of key to { buffer, level }.
  setTracks(wanted) {
    for (const [key, track] of this.tracks) {
      if (!wanted.has(key) || wanted.get(key).buffer !== track.buffer) {
        this.stop(track);
        this.tracks.delete(key);
      }
    }
    for (const [key, { buffer, level }] of wanted) {
      if (this.tracks.has(key)) this.setLevel(key, level);
      else {
        const track = { buffer, level, source: null, gain: null };
        this.tracks.set(key, track);
        if (this.isPlaying) this.start(track, this.context.currentTime + LEAD_SECONDS);
      }
    }
  }

  setLevel(key, level) {
    const track = this.tracks.get(key);
    if (!track || track.level === level) return;
    track.level = level;
    if (track.gain) ramp(track.gain.gain, this.context.currentTime, level);
  }

  start(track, when) {
    const { source, gain } = connected(this.context, track.buffer, 0);
    ramp(gain.gain, when, track.level);
    const offset = when - this.origin;
    if (offset < track.buffer.duration) source.start(when, Math.max(0, offset));
    Object.assign(track, { source, gain });
  }

  stop(track) {
    if (!track.source) return;
    const now = this.context.currentTime;
    ramp(track.gain.gain, now, 0);
    try {
      track.source.stop(now + 2 * RAMP_SECONDS);
    } catch {
      // It was never started, because the passage ends before it.
    }
    Object.assign(track, { source: null, gain: null });
  }

  // The samples that playing from the start gives, without ramps: an AudioBuffer.
  async render() {
    const context = new OfflineAudioContext(report.channels, this.sounds.length, this.sounds.rate);
    for (const { buffer, level } of this.tracks.values()) {
      if (level) connected(context, buffer, level).source.start(0);
    }
    return context.startRendering();
  }
}

function connected(context, buffer, level) {
  const source = new AudioBufferSourceNode(context, { buffer });
  const gain = new GainNode(context, { gain: level });
  source.connect(gain).connect(context.destination);
  return { source, gain };
}

function ramp(parameter, when, level) {
  parameter.cancelScheduledValues(0);
  parameter.setValueAtTime(parameter.value, when);
  parameter.linearRampToValueAtTime(level, when + RAMP_SECONDS);
}
