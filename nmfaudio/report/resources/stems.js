// The cards of the stems: waveform, gain, solo, mute, and the components, which can be moved to other stems.
class StemCards {
  constructor(page) {
    this.page = page;
    this.grouping = page.grouping;
    this.open = new Set(); // numbers of parts whose controls keep the focus when cards are drawn again
  }

  show() {
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.key : null;
    const cards = this.grouping.groups.map((group, index) => this.card(group, index));
    document.getElementById("stems").replaceChildren(...cards);
    if (focused) {
      const same = [...document.querySelectorAll("[data-key]")].find((node) => node.dataset.key === focused);
      if (same) same.focus();
    }
    this.showTools();
    this.showExport();
    refreshAll();
  }

  card(group, index) {
    const colour = () => colourOf(group.colour);
    const wave = new Surface(`Waveform of ${group.name}`, "wave", drawWave(() => this.page.buffers.get(group.id), colour));
    wave.canvas.addEventListener("click", (event) => this.page.player.seek(wave.timeAt(event.clientX)));
    const parts = group.parts.map((number) => this.partRow(this.grouping.parts.get(number), group));
    const hasComponents = parts.length > 1 || this.grouping.parts.get(group.parts[0]).template;
    const card = element("article", { class: "card", "aria-label": `Stem ${group.name}` },
      element("div", { class: "row" },
        element("div", {}, this.heading(group, index), this.mixer(group)), wave.node),
      hasComponents ? this.partTable(parts) : null);
    card.style.setProperty("--stem", colour());
    this.acceptDrops(card, group.id);
    return card;
  }

  heading(group, index) {
    const name = element("input", {
      class: "stem-name", value: group.name, "aria-label": `Name of stem ${index + 1}`, title: `${group.name} (edit to rename)`,
      "data-key": `name-${group.id}`, dir: "auto", maxlength: "300",
      onchange: (event) => {
        const message = this.grouping.rename(group.id, event.target.value);
        if (message) {
          say(message);
          event.target.value = group.name;
        }
      },
      onkeydown: (event) => { if (event.key === "Enter") event.target.blur(); },
    });
    return element("div", { class: "stem-heading" },
      element("span", { class: "swatch", "aria-hidden": "true" }, index < 9 ? String(index + 1) : ""),
      name, element("span", { class: "share", title: "Share of the energy of all stems" },
        percentText(group.parts.reduce((sum, number) => sum + this.shareOf(number), 0))));
  }

  shareOf(number) {
    return this.grouping.parts.get(number).share;
  }

  mixer(group) {
    const { mix } = this.page;
    const state = mix.of(group.id);
    const toggle = (name, letter, description) => button(letter, `${description} ${group.name}`,
      () => this.page.setMix(group.id, name, !mix.of(group.id)[name]),
      { "aria-pressed": String(state[name]), class: name, "data-key": `${name}-${group.id}` });
    const gain = element("input", {
      type: "range", min: "-40", max: "12", step: "0.5", value: String(state.decibels), "aria-label": `Gain of ${group.name} in dB`,
      title: "Gain; double click: 0 dB", "data-key": `gain-${group.id}`,
      oninput: (event) => this.page.setMix(group.id, "decibels", Number(event.target.value)),
      ondblclick: () => this.page.setMix(group.id, "decibels", 0),
    });
    const level = element("output", { class: "level" }, gainText(state.decibels));
    const others = this.grouping.groups.filter((other) => other.id !== group.id);
    const more = choice(`Change stem ${group.name}`, [["", "More"],
      ...(group.parts.length > 1 ? [["split", "Split into its components"]] : []),
      ...others.map((other) => [`merge-${other.id}`, `Merge into ${other.name.slice(0, 40)}`])], "", (value) => {
      if (value === "split") this.grouping.split(group.id);
      else if (value) this.grouping.merge(group.id, Number(value.slice(6)));
    }, { class: "more", "data-key": `more-${group.id}` });
    return element("div", { class: "mixer", "data-group": group.id }, toggle("solo", "S", "Solo"), toggle("mute", "M", "Mute"), gain, level, more);
  }

  partTable(rows) {
    const first = report.parts.find((part) => part.template);
    const range = first ? `${frequencyText(first.template.low)} to ${frequencyText(first.template.high)}, ${first.template.range} dB` : "";
    return element("div", { class: "parts" },
      element("div", { class: "parts-heading", "aria-hidden": "true" }, element("span", {}, "Component"),
        element("span", {}, "Stem"), element("span", {}, `Template, ${range}`), element("span", {}, "Activation")),
      element("ul", {}, ...rows));
  }

  partRow(part, group) {
    const colour = () => colourOf(group.colour);
    const isHeard = this.page.audition === part.number;
    const play = button(isHeard ? "\u25a0" : "\u25b6", `Listen to component ${part.number} alone`,
      () => this.page.toggleAudition(part.number), { class: "listen", "aria-pressed": String(isHeard), "data-key": `listen-${part.number}` });
    const stability = part.stability === null ? "" : `, stable ${percentText(part.stability)}`;
    const label = element("span", { class: "part-label" }, element("b", {}, String(part.number)), element("span", {},
      nameElement(part.name), element("span", { class: "share",
        title: "Share of the energy of all components, and agreement with the components of other random starts" },
      `${percentText(part.share)}${stability}`)));
    const row = element("li", {
      class: "part", tabindex: "0", draggable: true, "aria-label": `Component ${part.number}, ${part.name}, in stem ${group.name}`,
      "data-key": `part-${part.number}`,
      onkeydown: (event) => this.moveByKey(event, part.number),
      ondragstart: (event) => {
        event.dataTransfer.setData("text/plain", String(part.number));
        event.dataTransfer.effectAllowed = "move";
        this.dragged = part.number;
        document.body.classList.add("dragging");
      },
      ondragend: () => { this.dragged = null; document.body.classList.remove("dragging"); },
    }, play, label, this.mover(part, group), ...this.pictures(part, group, colour));
    return row;
  }

  pictures(part, group, colour) {
    if (!part.template) return [element("span", { class: "hint whole" }, "The whole stem: its separator has no templates for it.")];
    const template = element("canvas", { class: part.template.lags > 1 ? "template long" : "template", role: "img",
      "aria-label": `Template of component ${part.number}`, title: templateText(part.template) });
    template.paint = drawTemplate(part.template, colour);
    const activation = new Surface(`Activation of component ${part.number}`, "activation", drawActivation(part.activation, colour));
    activation.node.draggable = true;
    activation.node.addEventListener("dragstart", (event) => { event.preventDefault(); event.stopPropagation(); });
    this.page.regions.attach(activation, false, () => this.grouping.groupOf(part.number).name);
    return [template, activation.node];
  }

  mover(part, group) {
    const options = [...this.grouping.groups.map((other) => [String(other.id), other.name.slice(0, 40)]), ["new", "new stem"]];
    return choice(`Stem of component ${part.number}`, options, String(group.id), (value) => this.move(part.number, value === "new" ? null : Number(value)),
      { class: "mover", "data-key": `mover-${part.number}` });
  }

  moveByKey(event, number) {
    if (event.target !== event.currentTarget) return;
    if (event.key === "Enter") {
      event.preventDefault();
      this.page.toggleAudition(number);
    }
    if (!event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
    event.preventDefault();
    const ids = this.grouping.groups.map((group) => group.id);
    const next = ids[ids.indexOf(this.grouping.groupOf(number).id) + (event.key === "ArrowUp" ? -1 : 1)];
    if (next !== undefined) this.move(number, next);
    else if (event.key === "ArrowDown") this.move(number, null);
  }

  move(number, id) {
    this.grouping.move(number, id);
    say(`Component ${number} is now in ${this.grouping.groupOf(number).name}.`);
  }

  acceptDrops(node, id) {
    node.addEventListener("dragover", (event) => {
      if (!this.dragged) return;
      event.preventDefault();
      node.classList.add("over");
    });
    node.addEventListener("dragleave", () => node.classList.remove("over"));
    node.addEventListener("drop", (event) => {
      event.preventDefault();
      node.classList.remove("over");
      document.body.classList.remove("dragging");
      const number = this.dragged;
      this.dragged = null;
      if (number) this.move(number, id);
    });
  }

  showTools() {
    const { grouping } = this;
    document.getElementById("stems-tools").replaceChildren(
      button("Undo", "Undo the last change of the grouping", () => grouping.undo(), { disabled: !grouping.past.length, "data-key": "undo" }),
      button("Redo", "Redo the change that was undone", () => grouping.redo(), { disabled: !grouping.future.length, "data-key": "redo" }),
      button("Reset", "Return to the grouping of the separator", () => grouping.reset(), { disabled: grouping.isOriginal, "data-key": "reset" }));
  }

  showExport() {
    const place = document.getElementById("export");
    const name = fileName("grouping.json");
    const note = this.grouping.isOriginal
      ? "Move components between stems: you hear the new stems at once, and a command appears here that writes them to disk."
      : "This command writes the new stems to disk, without separating again:";
    const save = element("div", { class: "tools" },
      button("Export grouping (JSON)", "Save the grouping as a file for nmfaudio regroup", () =>
        download(name, groupingFile(this.grouping), "application/json")),
      button("Save this mix (WAV)", "Save what is heard now, with all gains, as a WAV file", async () =>
        download(fileName("mix.wav"), waveFile(await this.page.player.render()), "audio/wav")));
    place.replaceChildren(element("p", { class: "hint" }, note),
      this.grouping.isOriginal ? "" : commandBox("command that writes the new stems", regroupCommand(this.grouping, name)), save);
  }
}

function templateText({ lags, channels, low, high, range }) {
  const axes = `${frequencyText(low)} to ${frequencyText(high)}, ${range} dB`;
  if (lags > 1) return `Template of ${lags} frames (time to the right) over ${axes} (upwards)`;
  return `Template: ${axes}${channels > 1 ? "; the second channel is dashed" : ""}`;
}

function gainText(decibels) {
  return decibels <= -40 ? "off" : `${decibels > 0 ? "+" : ""}${decibels.toFixed(1)} dB`;
}
