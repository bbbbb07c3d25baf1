// The search for k-mers: the form, and the sequences that hold one.
import { get, Problem } from "./api.js";
import { bar, bases, byId, count, counted, duration, element, sourceName } from "./elements.js";
import { choose, numberIn, remember, savers, Search, separated } from "./results.js";

const COLUMNS = ["rank", "seq_id", "source", "count", "reverse", "length", "description", "occurrences", "file"];
const POSITIONS = 50;
const PLACES = "Places of the first letter on the strand as stored, counted from 0; − for the reverse complement.";

const search = new Search("kmers");

export function prepare(index) {
  byId("kmer-limit").max = index.limits.max_hits;
}

const submit = () => search.run(ask, show);

async function ask() {
  const kmer = byId("kmer").value.trim();
  if (!kmer) throw new Problem("k-mer: expected 1 to 31 of the letters A, C, G, T, found none.");
  const options = {
    min_count: numberIn("min-count"),
    limit: numberIn("kmer-limit"),
    source: byId("kmer-source").value,
    strand: byId("kmer-both-strands").checked ? "both" : "given",
    positions: byId("positions").checked ? POSITIONS : 0,
  };
  remember({ search: "kmers", kmer, ...options });
  return { options, answer: await get(`api/kmers/${encodeURIComponent(kmer)}`, options) };
}

/** Fill the form from the address, and search. */
export async function restore(fields) {
  byId("kmer").value = fields.get("kmer") ?? "";
  byId("min-count").value = fields.get("min_count") ?? 1;
  byId("kmer-limit").value = fields.get("limit") ?? 50;
  choose(byId("kmer-source"), fields.get("source") ?? "");
  byId("kmer-both-strands").checked = fields.get("strand") !== "given";
  byId("positions").checked = Number(fields.get("positions") ?? 0) > 0;
  await submit();
}

function show({ options, answer }) {
  const searched = `sequence_shards version ${answer.version}`;
  const where = `${counted(answer.sequences_searched, "sequence")}, ${bases(answer.bases_searched)}`;
  if (answer.sequences === 0) {
    search.say(`No hits in ${where}, ${searched}.`);
    const often = options.min_count > 1 ? ` at least ${options.min_count} times` : "";
    search.show(element("p", { className: "empty" }, `No sequence holds ${answer.kmer}${often}.`));
    return;
  }
  const left = answer.sequences - answer.hits.length;
  const shown = left ? `; the ${count(answer.hits.length)} with most are shown` : "";
  search.say(
    `${counted(answer.occurrences, "occurrence")} in ${count(answer.sequences)} of ${where}${shown}. ` +
      `${duration(answer.seconds)}, ${searched}.`,
  );
  const columns = COLUMNS.filter((column) => options.positions || column !== "occurrences");
  const cells = (hit, place) => ({ ...hit, rank: place + 1, occurrences: hit.occurrences.map(({ start, strand }) => start + strand).join() });
  const rows = () => answer.hits.map(cells).map((hit) => columns.map((column) => hit[column]));
  const { hits, seconds, ...found } = answer;
  const facts = { table: "sequence_shards", ...found, source: options.source || null, min_count: options.min_count };
  if (options.positions) facts.positions_each = options.positions;
  const table = () => separated(facts, columns, rows());
  const identifiers = () => answer.hits.map((hit) => hit.seq_id);
  const most = answer.hits[0].count;
  search.show(
    savers(`kmer-${answer.kmer}`, table, answer, identifiers, (words) => search.say(words)),
    options.positions ? element("p", { className: "hint" }, PLACES) : null,
    element("ol", { className: "hits" }, ...answer.hits.map((hit, place) => hitOf(answer, hit, place + 1, most))),
  );
}

function hitOf(answer, hit, rank, most) {
  const value = element("span", { className: "value" }, count(hit.count));
  if (answer.strand === "both") value.append(element("small", {}, `${count(hit.reverse)} reverse`));
  const row = element(
    "div",
    { className: "hit" },
    element("span", { className: "rank" }, String(rank)),
    element("span", { className: "name" }, element("b", {}, hit.seq_id), element("span", {}, hit.description)),
    sourceName(hit.source),
    element("span", { className: "length" }, bases(hit.length)),
    bar(hit.count / most),
    value,
  );
  return element("li", {}, row, hit.occurrences.length ? positions(hit) : null);
}

function positions(hit) {
  const left = hit.count - hit.occurrences.length;
  const places = hit.occurrences.map(({ start, strand }) => element("li", {}, `${count(start)}${strand === "-" ? " −" : ""}`));
  if (left) places.push(element("li", {}, `and ${count(left)} more`));
  return element("ul", { className: "positions", "aria-label": "Places" }, ...places);
}

byId("kmers").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
