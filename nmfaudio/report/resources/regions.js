// Rectangles of time and frequency in which a source sounds, or does not sound.
class Regions {
  constructor(grouping, player) {
    this.grouping = grouping;
    this.player = player;
    this.list = [];
    this.source = grouping.groups[0].name;
    this.kind = "region";
    this.drag = null;
  }

  get sources() {
    const names = [...this.grouping.groups.map((group) => group.name), ...this.list.map((region) => region.source)];
    return [...new Set(names)];
  }

  add(region) {
    this.list.push({ source: this.source, kind: this.kind, low: null, high: null, ...region });
    this.show();
    say(`Region ${this.list.length} added: ${this.described(this.list.at(-1))}.`);
  }

  described({ source, kind, start, end }) {
    return `${source} ${kind === "region" ? "sounds" : "does not sound"} from ${timeText(start, 2)} to ${timeText(end, 2)}`;
  }

  // Lets a drag on a surface add a region, and a click seek.
  attach(surface, hasFrequencies, sourceName = null) {
    const { canvas } = surface;
    const point = (event) => {
      const box = canvas.getBoundingClientRect();
      return { x: event.clientX, time: surface.timeAt(event.clientX), y: clamped(event.clientY - box.top, 0, box.height) };
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.drag = { surface, from: point(event), to: point(event), hasFrequencies };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.drag || this.drag.surface !== surface) return;
      this.drag.to = point(event);
      surface.refresh();
    });
    canvas.addEventListener("pointercancel", () => { this.drag = null; surface.refresh(); });
    canvas.addEventListener("pointerup", () => {
      if (!this.drag || this.drag.surface !== surface) return;
      const { from, to } = this.drag;
      this.drag = null;
      if (Math.abs(to.x - from.x) < 5) this.player.seek(to.time);
      else this.add({ ...this.limits(surface, from, to, hasFrequencies), ...(sourceName ? { source: sourceName() } : {}) });
      refreshAll();
    });
    const draw = surface.draw;
    surface.draw = (context, width, height) => {
      draw(context, width, height);
      this.draw(context, width, height, surface, hasFrequencies);
    };
  }

  limits(surface, from, to, hasFrequencies) {
    const height = surface.canvas.clientHeight;
    const round = (time) => Math.round(1000 * (report.start + time)) / 1000;
    const range = { start: round(Math.min(from.time, to.time)), end: round(Math.max(from.time, to.time)) };
    if (!hasFrequencies || Math.abs(to.y - from.y) < 5) return range;
    return {
      ...range,
      low: Math.round(hertzAt(Math.max(from.y, to.y), height)),
      high: Math.round(hertzAt(Math.min(from.y, to.y), height)),
    };
  }

  draw(context, width, height, surface, hasFrequencies) {
    if (hasFrequencies) {
      this.list.forEach((region, index) => {
        const x = xOf(region.start - report.start, width);
        const right = xOf(region.end - report.start, width);
        const top = region.high === null ? 0 : yOf(region.high, height);
        const bottom = region.low === null ? height : yOf(Math.max(region.low, spectrogram.low), height);
        context.setLineDash(region.kind === "region" ? [] : [5, 4]);
        context.lineWidth = 2;
        context.strokeStyle = "#fff";
        context.strokeRect(x, top, right - x, bottom - top);
        context.fillStyle = region.kind === "region" ? "rgba(255, 255, 255, 0.16)" : "rgba(0, 0, 0, 0.4)";
        context.fillRect(x, top, right - x, bottom - top);
        context.setLineDash([]);
        labelled(context, `${index + 1} ${region.kind === "region" ? "" : "not "}${region.source.slice(0, 24)}`, x + 4, Math.max(10, top + 10));
      });
    }
    if (this.drag && this.drag.surface === surface) {
      const { from, to } = this.drag;
      const [a, b] = [xOf(from.time, width), xOf(to.time, width)];
      const flat = !hasFrequencies || Math.abs(to.y - from.y) < 5;
      context.fillStyle = "rgba(128, 160, 255, 0.35)";
      context.fillRect(Math.min(a, b), flat ? 0 : Math.min(from.y, to.y), Math.abs(b - a), flat ? height : Math.abs(to.y - from.y));
    }
  }

  tools() {
    const sources = this.sources.map((name) => [name, name.slice(0, 40)]);
    if (!this.sources.includes(this.source)) this.source = this.sources[0];
    return [
      choice("Source of new regions", sources, this.source, (name) => { this.source = name; }),
      choice("Meaning of new regions", [["region", "sounds here"], ["not_region", "does not sound here"]], this.kind,
        (kind) => { this.kind = kind; }),
      button("Add", "Add a region of one second at the cursor", () => {
        const start = Math.round(1000 * (report.start + this.player.position)) / 1000;
        this.add({ start, end: Math.min(report.end, start + 1) });
        document.querySelector("#regions li:last-child input").focus();
      }),
    ];
  }

  show() {
    document.getElementById("regions-tools").replaceChildren(...this.tools());
    const text = element("p", { class: "hint" }, "Drag over the spectrogram, or over the activation of a component, to mark "
      + "where a source sounds or does not sound. Such hints help most where templates cannot tell sources apart.");
    const list = element("ol", { class: "regions" }, ...this.list.map((region, index) => this.row(region, index)));
    const parts = [text];
    if (this.list.length) {
      const command = `${report.separateCommand} --hints ${shellWord(fileName("hints.toml"))}`;
      parts.push(list, element("div", { class: "tools" },
        button("Export hints (TOML)", "Save the regions as a file for separate --hints", () =>
          download(fileName("hints.toml"), this.asText(), "application/toml"))),
      element("p", { class: "hint" }, "This command separates again with these hints; add the other flags of this run, such as --dictionary:"),
      commandBox("command that separates again with the hints", command));
    }
    document.getElementById("regions").replaceChildren(...parts);
    refreshAll();
  }

  row(region, index) {
    const number = (name, label, step, unit) => element("label", {}, `${label} `, element("input", {
      type: "number", step, min: "0", value: region[name] === null ? "" : region[name], placeholder: "all",
      "aria-label": `${label} of region ${index + 1} in ${unit}`,
      onchange: (event) => this.set(region, name, event.target),
    }), ` ${unit}`);
    return element("li", {},
      choice(`Source of region ${index + 1}`, this.sources.map((name) => [name, name]), region.source,
        (name) => { region.source = name; this.show(); }),
      choice(`Meaning of region ${index + 1}`, [["region", "sounds"], ["not_region", "does not sound"]], region.kind,
        (kind) => { region.kind = kind; this.show(); }),
      number("start", "from", "0.01", "s"), number("end", "to", "0.01", "s"),
      number("low", "above", "1", "Hz"), number("high", "below", "1", "Hz"),
      button("Play", `Play region ${index + 1}`, () =>
        this.player.playPassage(region.start - report.start, region.end - report.start)),
      button("\u00d7", `Delete region ${index + 1}`, () => {
        this.list.splice(index, 1);
        this.show();
        say(`Region ${index + 1} deleted.`);
      }, { class: "quiet" }));
  }

  set(region, name, input) {
    const value = input.value === "" ? null : Number(input.value);
    const changed = { ...region, [name]: value };
    const isWhole = changed.start !== null && changed.end !== null && changed.start >= 0 && changed.start < changed.end;
    const isBand = changed.low === null || changed.high === null || (changed.low >= 0 && changed.low < changed.high);
    if (isWhole && isBand) region[name] = value;
    else say("A region must end after its start, and its upper frequency must be above its lower one.");
    this.show();
  }

  // A TOML file for `separate --hints`: a table for each source.
  asText() {
    const tables = this.sources.map((source) => {
      const lines = ["region", "not_region"].map((kind) => {
        const texts = this.list.filter((region) => region.source === source && region.kind === kind).map(regionText);
        return texts.length ? `${kind} = [${texts.map((text) => `"${text}"`).join(", ")}]\n` : "";
      }).join("");
      return lines ? `[${tomlKey(source)}]\n${lines}` : "";
    });
    return tables.filter((table) => table).join("\n");
  }
}

function regionText({ start, end, low, high }) {
  const band = low === null && high === null ? ""
    : `@${low ?? 0}-${high ?? Math.round(report.sampleRate / 2)}`;
  return `${+start.toFixed(3)}-${+end.toFixed(3)}${band}`;
}

function tomlKey(name) {
  if (/^[A-Za-z0-9_-]+$/.test(name)) return name;
  // JSON escapes what TOML escapes, except the character DEL.
  return JSON.stringify(name).replaceAll("\u007f", "\\u007F");
}
