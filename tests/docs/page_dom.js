// As much of a browser as the page of /docs needs. It reads the document from stdin, opens every operation, and writes
// the text of each by its id.
const { readFileSync } = require("node:fs");

class Node {
  constructor(name) { this.name = name; this.children = []; this.dataset = {}; this.listeners = {}; }
  append(...parts) {
    for (const part of parts) if (part === undefined || part === null) throw new TypeError("appended nothing");
    this.children.push(...parts);
  }
  addEventListener(event, listener) { this.listeners[event] = listener; }
  querySelectorAll() { return []; }
  set textContent(text) { this.children = [text]; }
  get textContent() { return this.children.map((one) => (one instanceof Node ? one.textContent : String(one))).join(" "); }
}

const named = {};
globalThis.document = {
  createElement: (name) => new Node(name),
  getElementById: (id) => (id ? (named[id] ??= new Node(id)) : null),
  querySelectorAll: () => [],
};
globalThis.location = { hash: "" };
globalThis.addEventListener = () => {};
globalThis.fetch = async () => ({ json: async () => JSON.parse(readFileSync(0, "utf8")) });

process.once("beforeExit", () => {
  const failed = named.about.textContent;
  if (failed.includes("cannot be read")) throw new Error(failed);
  const told = {};
  for (const section of named.operations.children) {
    for (const node of section.children.filter((one) => one.name === "details")) {
      node.listeners.toggle();
      told[node.id] = node.textContent;
    }
  }
  process.stdout.write(JSON.stringify(told));
});
