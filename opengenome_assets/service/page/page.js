// The page: the index, the two tabs, and the address that reproduces a search.
import { get, hasToken, Problem } from "./api.js";
import { byId, colourSources, counted, element } from "./elements.js";
import * as kmers from "./kmers.js";
import * as similar from "./similar.js";

const PARTS = { similar, kmers };
const tabs = [...document.querySelectorAll("[role=tab]")];

function select(tab) {
  for (const each of tabs) {
    const chosen = each === tab;
    each.setAttribute("aria-selected", String(chosen));
    each.tabIndex = chosen ? 0 : -1;
    byId(each.getAttribute("aria-controls")).hidden = !chosen;
  }
}

for (const [place, tab] of tabs.entries()) {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs.at((place + step) % tabs.length);
    select(next);
    next.focus();
  });
}

/** Load the description of the index, which everything else needs. */
async function describe() {
  const index = await get("api/index");
  colourSources(index.sources);
  const sources = index.sources.length === 1 ? index.sources[0] : counted(index.sources.length, "source");
  byId("corpus").textContent = `${counted(index.sequences, "sequence")} of ${sources}, tfidf_index version ${index.searched.tfidf_index}`;
  for (const list of document.querySelectorAll("select.sources")) {
    list.append(...index.sources.map((source) => element("option", { value: source }, source)));
  }
  if (index.problem) warn(`This is not the newest version, which could not be opened. ${index.problem}`);
  const link = (words, href) => element("li", {}, element("a", { href }, words));
  if (index.dagster_url) byId("links").prepend(link("Dagster", index.dagster_url));
  if (index.report && !hasToken()) byId("links").prepend(link("Report", "report"));
  for (const part of Object.values(PARTS)) part.prepare(index);
}

function warn(words, passing = false) {
  const notice = byId("problem");
  if (notice.textContent !== words) notice.textContent = words;
  notice.dataset.passing = String(passing);
  notice.hidden = false;
}

/** Repeat the search in the address, if there is one. */
async function restore() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const name = fields.get("search");
  if (!(name in PARTS)) return;
  select(byId(`tab-${name}`));
  await PARTS[name].restore(fields);
}

/** Poll until there is an index: the server says what is missing, and finds it once it is made. */
async function begin() {
  for (;;) {
    try {
      await describe();
      byId("problem").hidden ||= byId("problem").dataset.passing === "true";
      break;
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 503) throw error;
      byId("corpus").textContent = "Nothing can be searched yet.";
      warn(error.message, true);
      await new Promise((resolve) => setTimeout(resolve, 3000));
    }
  }
  await restore();
}

window.addEventListener("popstate", restore);
begin().catch((error) => {
  byId("corpus").textContent = "Nothing can be searched.";
  warn(error instanceof Problem ? error.message : `The page failed: ${error.message}`);
});
