// Elements of the page. Names and messages become text nodes, never markup.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in { value: 0, checked: 0, disabled: 0, draggable: 0, hidden: 0 }) made[name] = value;
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function button(label, description, action, attributes = {}) {
  return element("button", {
    type: "button", "aria-label": description, title: description,
    onclick: (event) => {
      if (event.detail) event.currentTarget.blur(); // after a click of the mouse, the space key plays again
      action(event);
    },
    ...attributes,
  }, label);
}

function choice(description, options, selected, action, attributes = {}) {
  const made = element("select", {
    "aria-label": description, title: description, onchange: (event) => action(event.target.value), ...attributes,
  }, ...options.map(([value, label]) => element("option", { value }, label)));
  made.value = selected;
  return made;
}

// A name in its own direction of writing.
function nameElement(text, attributes = {}) {
  return element("bdi", { title: text, ...attributes, class: `name ${attributes.class || ""}` }, text);
}

function say(message) {
  document.getElementById("status").textContent = message;
}

function download(name, content, type) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function commandBox(description, text) {
  const code = element("code", { tabindex: "0", role: "textbox", "aria-readonly": "true", "aria-label": description }, text);
  const copy = button("Copy", `Copy: ${description}`, async () => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied.");
    } catch {
      window.getSelection().selectAllChildren(code);
      say("The text is selected: copy it with Ctrl + C.");
    }
  });
  return element("div", { class: "command" }, code, copy);
}

function fileName(ending) {
  const track = report.title.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}_-]+/gu, "_").slice(0, 60);
  return `${track || "recording"}-${ending}`;
}
