// Which parts (components, or stems without components) belong to which stem; every change can be undone.
class Grouping {
  constructor(stems, parts) {
    this.parts = new Map(parts.map((part) => [part.number, part]));
    this.original = stems.map((stem, index) => ({
      id: index,
      name: stem.name,
      colour: index,
      parts: parts.filter((part) => part.stem === index).map((part) => part.number),
    }));
    this.groups = this.original;
    this.nextId = stems.length;
    this.past = [];
    this.future = [];
    this.listeners = [];
  }

  get isOriginal() {
    return JSON.stringify(this.asGroups()) === JSON.stringify(groupsAsNumbers(this.original));
  }

  group(id) {
    return this.groups.find((group) => group.id === id);
  }

  groupOf(number) {
    return this.groups.find((group) => group.parts.includes(number));
  }

  // The content of a grouping file: names of stems, and the numbers of their parts.
  asGroups() {
    return groupsAsNumbers(this.groups);
  }

  move(number, id) {
    const from = this.groupOf(number);
    if (from.id === id || (id === null && from.parts.length === 1)) return;
    const part = this.parts.get(number);
    const made = { id: this.nextId, name: this.freeName(part.name), colour: this.freeColour(), parts: [number] };
    const left = this.groups.map((group) => {
      const others = group.parts.filter((other) => other !== number);
      return { ...group, parts: group.id === id ? sorted([...others, number]) : others };
    });
    if (id === null) this.nextId += 1;
    this.change(id === null ? [...left, made] : left);
  }

  merge(id, into) {
    const source = this.group(id);
    this.change(this.groups.filter((group) => group.id !== id).map((group) =>
      group.id === into ? { ...group, parts: sorted([...group.parts, ...source.parts]) } : group));
  }

  // Every part becomes a stem of its own; the first one keeps the place of the stem.
  split(id) {
    const source = this.group(id);
    const names = new Set(this.groups.filter((group) => group.id !== id).map((group) => group.name));
    const made = source.parts.map((number, index) => {
      const name = uniqueName(this.parts.get(number).name, names);
      names.add(name);
      return {
        id: index ? this.nextId++ : id,
        name,
        colour: index ? this.freeColour(index - 1) : source.colour,
        parts: [number],
      };
    });
    this.change(this.groups.flatMap((group) => (group.id === id ? made : [group])));
  }

  // Returns a message where the name cannot be used, else an empty text.
  rename(id, name) {
    const trimmed = name.trim();
    if (!trimmed) return "A stem needs a name.";
    if (/^\.|[/\\\p{Cc}]/u.test(trimmed)) return "The name becomes a file name: leave out / and \\, and a dot at its start.";
    if (this.groups.some((group) => group.id !== id && group.name === trimmed)) {
      return `There is a stem of the name ${trimmed} already: merge the two, or choose another name.`;
    }
    if (this.group(id).name !== trimmed) {
      this.change(this.groups.map((group) => (group.id === id ? { ...group, name: trimmed } : group)));
    }
    return "";
  }

  reset() {
    this.change(this.original);
  }

  undo() {
    if (!this.past.length) return false;
    this.future.push(this.groups);
    this.groups = this.past.pop();
    this.tell();
    return true;
  }

  redo() {
    if (!this.future.length) return false;
    this.past.push(this.groups);
    this.groups = this.future.pop();
    this.tell();
    return true;
  }

  change(groups) {
    this.past.push(this.groups);
    this.future = [];
    this.groups = groups.filter((group) => group.parts.length);
    this.tell();
  }

  tell() {
    this.listeners.forEach((listener) => listener());
  }

  freeName(wanted) {
    return uniqueName(wanted, new Set(this.groups.map((group) => group.name)));
  }

  freeColour(skip = 0) {
    const used = new Set(this.groups.map((group) => group.colour));
    let colour = 0;
    for (let left = skip; used.has(colour) || left-- > 0;) colour += 1;
    return colour;
  }
}

function sorted(numbers) {
  return numbers.sort((a, b) => a - b);
}

function uniqueName(wanted, names) {
  let name = wanted;
  for (let count = 2; names.has(name); count++) name = `${wanted} (${count})`;
  return name;
}

// Pairs instead of an object, because JavaScript would reorder names that are numbers.
function groupsAsNumbers(groups) {
  return groups.map((group) => [group.name, group.parts]);
}

// JSON of an object whose keys keep their order, whatever they are.
function groupingFile(grouping) {
  const lines = grouping.asGroups().map(([name, numbers]) =>
    `    ${JSON.stringify(name)}: [${numbers.join(", ")}]`);
  return `{\n  "format": "nmfaudio grouping",\n  "version": 1,\n  "run": ${JSON.stringify(report.run)},\n`
    + `  "groups": {\n${lines.join(",\n")}\n  }\n}\n`;
}

function regroupCommand(grouping, file) {
  const groups = grouping.asGroups();
  if (groups.some(([name]) => /\p{Cc}/u.test(name))) return `${report.regroupCommand} ${shellWord(file)}`;
  const words = groups.map(([name, numbers]) => `--group ${shellWord(`${name}=${numbers.join(",")}`)}`);
  return [report.regroupCommand, ...words].join(" ");
}
