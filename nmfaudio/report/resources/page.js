// The page: joins the sounds, the grouping, the player and the pictures.
class Mix {
  constructor() {
    this.states = new Map();
  }

  of(id) {
    return this.states.get(id) || { solo: false, mute: false, decibels: 0 };
  }

  set(id, name, value) {
    this.states.set(id, { ...this.of(id), [name]: value });
  }

  // The gain of a stem: 0 where it is muted, or where other stems are soloed.
  level(id, groups) {
    const { solo, mute, decibels } = this.of(id);
    const isAnySoloed = groups.some((group) => this.of(group.id).solo);
    return mute || (isAnySoloed && !solo) || decibels <= -40 ? 0 : 10 ** (decibels / 20);
  }
}

class Page {
  constructor() {
    this.grouping = new Grouping(report.stems, report.parts);
    this.sounds = new Sounds(this.grouping);
    this.player = new Player(this.sounds);
    this.mix = new Mix();
    this.buffers = new Map(); // AudioBuffer of each stem, by the id of its group
    this.audition = null; // number of the component that is played alone
    this.regions = new Regions(this.grouping, this.player);
    this.cards = new StemCards(this);
    this.update = Promise.resolve();
  }

  async show() {
    this.showHeader();
    this.showTransport();
    this.showMixture();
    this.showDetails();
    this.regions.show();
    this.cards.show();
    this.cards.acceptDrops(document.getElementById("new-stem"), null);
    this.grouping.listeners.push(() => { this.regions.show(); this.reload(); });
    say("Decoding the stems ...");
    await this.reload();
    say(report.warnings.length ? `${report.warnings.length} warning${report.warnings.length > 1 ? "s" : ""}: see the end of the page.` : "");
    document.body.dataset.state = "ready";
    this.tick();
  }

  // Decodes or adds up what the grouping needs, one request after the other.
  reload() {
    this.update = this.update.catch(() => {}).then(() => this.load());
    return this.update;
  }

  async load() {
    this.cards.show();
    const { groups } = this.grouping;
    const audition = this.audition === null ? [] : [[this.audition]];
    const buffers = await Promise.all(groups.map((group) => this.sounds.sum(group.parts)));
    this.buffers = new Map(groups.map((group, index) => [group.id, buffers[index]]));
    this.heard = this.audition === null ? null : await this.sounds.sum([this.audition]);
    this.sounds.keepOnly([...groups.map((group) => group.parts), ...audition]);
    this.applyLevels();
    refreshAll();
  }

  applyLevels() {
    const { groups } = this.grouping;
    const tracks = new Map();
    for (const group of groups) {
      const buffer = this.buffers.get(group.id);
      const level = this.heard ? 0 : this.mix.level(group.id, groups);
      if (buffer) tracks.set(`stem-${group.id}`, { buffer, level });
    }
    if (this.heard) tracks.set("audition", { buffer: this.heard, level: 1 });
    this.player.setTracks(tracks);
  }

  setMix(id, name, value) {
    this.mix.set(id, name, value);
    this.applyLevels();
    this.showMixers();
  }

  // Solo one stem alone; once more, or with no stem: all stems.
  soloOnly(index) {
    const { groups } = this.grouping;
    if (index !== null && index >= groups.length) return;
    const wasAlone = index !== null && groups.every((group, i) => this.mix.of(group.id).solo === (i === index));
    groups.forEach((group, i) => this.mix.set(group.id, "solo", i === index && !wasAlone));
    this.applyLevels();
    this.showMixers();
    say(index === null || wasAlone ? "All stems." : `Solo: ${groups[index].name}.`);
  }

  showMixers() {
    for (const mixer of document.querySelectorAll(".mixer")) {
      const state = this.mix.of(Number(mixer.dataset.group));
      mixer.querySelector(".solo").setAttribute("aria-pressed", String(state.solo));
      mixer.querySelector(".mute").setAttribute("aria-pressed", String(state.mute));
      mixer.querySelector("input").value = String(state.decibels);
      mixer.querySelector(".level").textContent = gainText(state.decibels);
    }
  }

  async toggleAudition(number) {
    this.audition = this.audition === number ? null : number;
    await this.reload();
    if (this.audition !== null) this.player.play();
    say(this.audition === null ? "All stems." : `Component ${number} alone.`);
  }

  showHeader() {
    document.getElementById("title").append(nameElement(report.title));
    const range = report.isWhole ? timeText(report.duration)
      : `${timeText(report.start)} to ${timeText(report.end)} of ${timeText(report.duration)}`;
    const channels = report.sourceChannels > 2 ? `the mean of ${report.sourceChannels} channels` : report.channels === 2 ? "stereo" : "mono";
    const facts = [`${report.stems.length} stems by ${report.separator}`, `${report.parts.filter((part) => part.template).length} components`, range, `${report.sampleRate} Hz, ${channels}`];
    document.getElementById("summary").replaceChildren(facts.join(" \u00b7 "), element("br"),
      `${report.isWhole ? "" : "This page plays a part of the recording. "}${report.audio}`);
  }

  showTransport() {
    this.playButton = button("\u25b6 Play", "Play or pause (space)", () => this.togglePlay(), { class: "play" });
    this.clock = element("output", { class: "clock", "aria-label": "Position" });
    this.seekBar = element("input", {
      type: "range", min: "0", max: String(duration), step: "0.01", value: "0", "aria-label": "Position in seconds", class: "seek",
      oninput: (event) => this.player.seek(Number(event.target.value)),
    });
    const reset = button("All stems", "Play all stems without solo and mute (0)", () => {
      for (const group of this.grouping.groups) ["solo", "mute"].forEach((name) => this.mix.set(group.id, name, false));
      this.audition = null;
      this.reload();
      this.showMixers();
    });
    document.getElementById("transport").replaceChildren(this.playButton, this.clock, this.seekBar, reset);
  }

  showMixture() {
    const surface = new Surface("Spectrogram of the mixture: time to the right, frequency upwards", "spectrogram", drawSpectrogram);
    this.regions.attach(surface, true);
    surface.canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.25 : 0.8, surface.timeAt(event.clientX));
    }, { passive: false });
    document.getElementById("mixture").replaceChildren(surface.node);
    document.getElementById("mixture-tools").replaceChildren(
      element("div", { class: "tools" },
        button("\u2212", "Show more time (-)", () => zoom(2, this.player.position)),
        button("+", "Show less time (+)", () => zoom(0.5, this.player.position)),
        button("Fit", "Show the whole passage", () => setView(0, duration)),
        element("span", { class: "hint" }, `frequency, min:s, ${report.spectrogram.range} dB`)),
      element("p", { class: "hint" }, "Click to seek. Drag a rectangle to mark where a stem sounds:"),
      element("div", { id: "regions-tools", class: "tools" }));
  }

  togglePlay() {
    if (this.player.isPlaying) this.player.pause();
    else this.player.play();
  }

  tick() {
    this.player.check();
    const position = this.player.position;
    const isInView = position >= view.start && position <= view.end;
    if (this.player.isPlaying && !isInView) setView(position, position + view.end - view.start);
    for (const surface of surfaces) surface.showCursor(position);
    this.clock.textContent = `${timeText(report.start + position)} / ${timeText(report.end)}`;
    if (document.activeElement !== this.seekBar || this.player.isPlaying) this.seekBar.value = String(position);
    this.seekBar.setAttribute("aria-valuetext", timeText(report.start + position));
    const label = this.player.isPlaying ? "\u275a\u275a Pause" : "\u25b6 Play";
    if (this.playButton.textContent !== label) this.playButton.textContent = label;
    requestAnimationFrame(() => this.tick());
  }

  showDetails() {
    const list = (title, items, className) => (items.length
      ? element("div", { class: className }, element("h3", {}, title), element("ul", {}, ...items.map((text) => element("li", {}, text)))) : null);
    const parts = [list("Warnings", report.warnings, "warnings"), list("Messages", report.notes, "notes"), scoresTable(), convergenceFigure(),
      element("details", {}, element("summary", {}, "Settings"), element("table", { class: "settings" }, element("tbody", {},
        ...report.settings.map(([label, value]) => element("tr", {}, element("th", { scope: "row" }, label), element("td", {}, nameElement(value)))))))];
    document.getElementById("details").replaceChildren(...parts.filter((part) => part));
  }

  pressed(event) {
    const isTyping = event.target.matches("input:not([type=range]), select, textarea");
    if (isTyping || event.defaultPrevented) return;
    const key = event.key;
    if (event.ctrlKey || event.metaKey) {
      if (key.toLowerCase() !== "z" && key.toLowerCase() !== "y") return;
      if (event.shiftKey || key.toLowerCase() === "y") this.grouping.redo();
      else this.grouping.undo();
    } else if (event.altKey) return;
    else if (key === " " && !event.target.matches("button, summary")) this.togglePlay();
    else if (/^[1-9]$/.test(key)) this.soloOnly(Number(key) - 1);
    else if (key === "0") this.soloOnly(null);
    else if (key.startsWith("Arrow") && event.target.matches("input[type=range]:not(.seek)")) return;
    else if (key === "ArrowLeft" || key === "ArrowRight") {
      this.player.seek(this.player.position + (key === "ArrowLeft" ? -1 : 1) * (event.shiftKey ? 0.1 : 2));
    } else if (key === "Home") this.player.seek(0);
    else if (key === "+" || key === "-") zoom(key === "+" ? 0.5 : 2, this.player.position);
    else return;
    event.preventDefault();
  }
}

function scoresTable() {
  if (!report.scores) return null;
  const { measures, rows } = report.scores;
  const cell = (value) => element("td", {}, value === null ? "undefined" : value.toFixed(2));
  return element("div", {}, element("h3", {}, "Scores against references, in dB"), element("table", { class: "scores" },
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "stem"), ...measures.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, element("th", { scope: "row" }, nameElement(row.stem)), ...row.values.map(cell))))));
}

function convergenceFigure() {
  if (!report.convergence) return null;
  const canvas = element("canvas", { class: "convergence", role: "img", "aria-label": "Divergence after each update" });
  canvas.paint = drawConvergence;
  return element("figure", {}, element("figcaption", {}, `Divergence (${report.convergence.divergence}) during the factorization`), canvas);
}

const page = new Page();
document.addEventListener("keydown", (event) => page.pressed(event));
new ResizeObserver(refreshAll).observe(document.body);
darkScheme.addEventListener("change", () => { page.cards.show(); refreshAll(); });
window.nmfaudioReport = { page, report, groupingFile: () => groupingFile(page.grouping), regroupCommand, setView };
page.show().catch((error) => {
  say(`This browser cannot play the page: ${error.message}`);
  document.body.dataset.state = "failed";
});
