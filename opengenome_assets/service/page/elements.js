// Elements of the page. Texts of the corpus become text, never markup.

/** Make an element: properties that begin with "aria-", "data-" or "role" are attributes; "style" holds custom properties. */
export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  assign(node, properties);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** The same for pictures, whose properties are all attributes. */
export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function assign(node, properties) {
  for (const [key, value] of Object.entries(properties)) {
    if (key === "style") for (const [name, set] of Object.entries(value)) node.style.setProperty(name, set);
    else if (key in node && !key.startsWith("aria")) node[key] = value;
    else node.setAttribute(key, value);
  }
}

export const byId = (id) => document.getElementById(id);
export const count = (number) => number.toLocaleString("en");
export const counted = (number, word, many = `${word}s`) => `${count(number)} ${number === 1 ? word : many}`;
export const similarity = (value) => value.toFixed(4);

export function bases(length) {
  if (length < 1000) return `${length} b`;
  const [size, unit] = length < 1e6 ? [length / 1e3, "kb"] : [length / 1e6, "Mb"];
  return `${size.toPrecision(Math.max(3, Math.trunc(size).toString().length))} ${unit}`;
}

/** A bar of a share in [0, 1], hidden from screen readers: the number is beside it. */
export function bar(share) {
  return element("span", { className: "bar", "aria-hidden": "true" }, element("i", { style: { "--share": share } }));
}

const colours = new Map();

/** Give each source the colour that it has in the report's figures. */
export function colourSources(names) {
  colours.clear();
  [...names].sort().forEach((name, place) => colours.set(name, `var(--source-${place % 6})`));
}

export function sourceName(name) {
  return element("span", { className: "source", style: { "--colour": colours.get(name) ?? "var(--muted)" } }, element("span", {}, ...breakable(name)));
}

/** A name that may break after each "_", "/", "-" or ".", and not within a word. */
function breakable(name) {
  return name.split(/(?<=[_/.-])/).flatMap((piece, place) => (place ? [element("wbr"), piece] : [piece]));
}

/** The duration of a search: milliseconds, and seconds from one second on. */
export function duration(seconds) {
  return seconds < 1 ? `${Math.max(1, Math.round(seconds * 1000))} ms` : `${seconds.toFixed(1)} s`;
}
