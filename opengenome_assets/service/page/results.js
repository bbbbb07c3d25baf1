// Shared by both searches: reading fields, the status of a search, copying and saving its results.
import { byId, count, element } from "./elements.js";
import { Problem } from "./api.js";

/** One search form with its status line and its results. */
export class Search {
  constructor(name) {
    this.panel = byId(`panel-${name}`);
    this.status = byId(`${name}-status`);
    this.results = byId(`${name}-results`);
    this.number = 0;
  }

  say(words) {
    this.status.textContent = words;
  }

  /** Run a search; results of an earlier one are then ignored. */
  async run(search, show) {
    const number = ++this.number;
    this.panel.classList.add("busy");
    this.panel.setAttribute("aria-busy", "true");
    this.say("Searching…");
    try {
      const answer = await search();
      if (number === this.number) show(answer);
    } catch (error) {
      if (number === this.number) this.refuse(error);
    }
    if (number === this.number) {
      this.panel.classList.remove("busy");
      this.panel.removeAttribute("aria-busy");
    }
  }

  show(...children) {
    this.results.replaceChildren(...children.filter((child) => child !== null));
  }

  /** Scroll to the results if the first of them is below the fold, as on a phone. */
  reveal() {
    const first = this.results.querySelector(".hit, .notice, .empty");
    if (first && first.getBoundingClientRect().bottom > window.innerHeight) this.status.scrollIntoView({ block: "start" });
  }

  refuse(error) {
    if (!(error instanceof Problem)) console.error(error);
    const message = error instanceof Problem ? error.message : `The page failed: ${error.message}`;
    this.say("");
    this.show(element("p", { className: "notice", role: "alert" }, message));
  }
}

/** The number in a field; an error names the field. */
export function numberIn(id) {
  const { labels, min, max, step, value, valueAsNumber: number } = byId(id);
  if (number >= Number(min) && (max === "" || number <= Number(max)) && (step || Number.isInteger(number))) return number;
  const range = max === "" ? `of at least ${min}` : `from ${min} to ${count(Number(max))}`;
  throw new Problem(`${labels[0].textContent}: expected a ${step ? "" : "whole "}number ${range}, found ${value || "none"}.`);
}

/** Choose the value of a link, even if it does not exist any more: the server then says so. */
export function choose(list, value) {
  if (![...list.options].some((option) => option.value === value)) list.append(element("option", { value }, value));
  list.value = value;
}

/** Buttons that copy and save a table of results. */
export function savers(name, table, answer, identifiers, say) {
  const copy = (text, what) => async () => {
    try {
      await navigator.clipboard.writeText(text());
      say(`Copied ${what}.`);
    } catch {
      say(`The browser does not let this page copy ${what}. Save the table instead.`);
    }
  };
  const save = (ending, type, text) => () => {
    const address = URL.createObjectURL(new Blob([text()], { type }));
    element("a", { href: address, download: `${name}.${ending}` }).click();
    URL.revokeObjectURL(address);
  };
  const button = (words, onclick, label) => element("button", { type: "button", className: "plain", onclick, "aria-label": label }, words);
  return element(
    "div",
    { className: "tools", role: "group", "aria-label": "Results" },
    button("Copy table", copy(table, "the table"), "Copy table"),
    button("TSV", save("tsv", "text/tab-separated-values", table), "Save as TSV"),
    button("JSON", save("json", "application/json", () => JSON.stringify(answer, null, 2)), "Save as JSON"),
    button("Identifiers", save("txt", "text/plain", () => `${[...new Set(identifiers())].join("\n")}\n`), "Save the identifiers"),
    button("Copy link", linkable() ? copy(() => location.href, "a link to this search") : () => say(TOO_LONG), "Copy link to this search"),
  );
}

/** A table as tab-separated text, in the form of the command line: comments name the searched version. */
export function separated(facts, columns, rows) {
  const cell = (value) => String(value ?? "").replace(/[\t\r\n]/g, " ");
  const comments = Object.entries(facts).map(([name, value]) => `# ${name}: ${JSON.stringify(value)}`);
  return [...comments, columns.join("\t"), ...rows.map((row) => row.map(cell).join("\t")), ""].join("\n");
}

// Longer addresses are cut by some mail programs and chats.
const LONGEST_LINK = 6000;
const TOO_LONG = "This query is too long for a link. A part of it, or a sequence of the corpus, can be linked.";

/** Put a search into the address, if it is short enough. */
export function remember(fields) {
  const link = `#${new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== "" && value !== false))}`;
  const target = link.length <= LONGEST_LINK ? link : location.pathname + location.search;
  if (target !== location.hash) history.pushState(null, "", target);
}

const linkable = () => location.hash.length > 1;
