// A table whose rows are sorted by a click on a heading, and filtered by words.
import { count, element } from "./elements.js";

const ORDER = new Intl.Collator("en", { numeric: true });

/** Columns have a name, a value to sort and filter by, and, if it is shown otherwise, a function that shows it. */
export class Grid {
  constructor(label, columns, { onopen = null, most = 1000, sorted = null, down = false } = {}) {
    Object.assign(this, { label, columns, onopen, most, sorted: sorted ?? columns[0].name, down });
    this.rows = [];
    this.filter = element("input", { type: "search", "aria-label": `Filter ${label}`, placeholder: "Filter…", oninput: () => this.draw() });
    this.shown = element("p", { className: "hint", role: "status" });
    this.heads = element("tr");
    this.body = element("tbody");
    const table = element("table", { className: "grid" }, element("caption", { className: "visually-hidden" }, label), element("thead", {}, this.heads), this.body);
    this.node = element("div", {}, element("div", { className: "tools filter" }, this.filter, this.shown), element("div", { className: "wide-table", tabIndex: 0, role: "region", "aria-label": label }, table));
  }

  show(rows) {
    this.rows = rows;
    this.draw();
  }

  sort(name) {
    this.down = this.sorted === name ? !this.down : false;
    this.sorted = name;
    this.draw();
    this.heads.querySelector(`[data-name="${CSS.escape(name)}"]`)?.focus();
  }

  draw() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (row) => this.columns.map((column) => plain(column.value(row))).join(" ").toLowerCase();
    const kept = words.length ? this.rows.filter((row) => words.every((word) => text(row).includes(word))) : [...this.rows];
    const column = this.columns.find(({ name }) => name === this.sorted) ?? this.columns[0];
    kept.sort((one, two) => compare(column.value(one), column.value(two)) * (this.down ? -1 : 1));
    this.shown.textContent = words.length ? `${count(kept.length)} of ${count(this.rows.length)} rows` : "";
    this.heads.replaceChildren(...this.columns.map(({ name }) => {
      const order = name === this.sorted ? (this.down ? "descending" : "ascending") : "none";
      const arrow = { ascending: " ▲", descending: " ▼", none: "" }[order];
      const button = element("button", { type: "button", "data-name": name, onclick: () => this.sort(name) }, name, element("span", { "aria-hidden": "true" }, arrow));
      return element("th", { scope: "col", "aria-sort": order }, button);
    }));
    this.body.replaceChildren(...kept.slice(0, this.most).map((row) => this.row(row)));
  }

  row(row) {
    const cells = this.columns.map(({ name, value, show }) => {
      const shown = show ? show(row) : plain(value(row));
      const number = typeof value(row) === "number" && !show;
      return element("td", { "data-label": name, className: number ? "number" : "" }, shown);
    });
    return element("tr", {}, ...cells);
  }
}

/** A value of JSON as text. */
export function plain(value) {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(plain).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Numbers by size, texts by letters, nothing last. */
function compare(one, two) {
  if (typeof one === "number" && typeof two === "number") return one - two;
  const [a, b] = [plain(one), plain(two)];
  if (!a || !b) return a ? -1 : b ? 1 : 0;
  return ORDER.compare(a, b);
}
