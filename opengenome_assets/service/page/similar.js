// The search for similar sequences: the form, ranked hits, and a hit that opens.
import { fasta, post, Problem } from "./api.js";
import { bar, bases, byId, count, counted, duration, element, similarity, sourceName } from "./elements.js";
import { explanation } from "./explanation.js";
import { choose, numberIn, remember, savers, Search, separated } from "./results.js";

const EXAMPLE_LETTERS = 1200;
const COLUMNS = ["query", "rank", "seq_id", "source", "similarity", "containment", "identity", "k", "length", "description", "strand", "file"];

// Control characters of binary files, which no FASTA has.
const UNPRINTED = /[\0-\x08\x0e-\x1f]/;

const search = new Search("similar");
const query = byId("query");

// The part of the corpus in the query's field; null after a change.
let origin = null;
let limits = null;

export function prepare(index) {
  limits = index.limits;
  byId("top-n").max = limits.max_hits;
  byId("examples").hidden = index.examples.length === 0;
  byId("examples").append(
    ...index.examples.map((example) =>
      element("button", { type: "button", className: "link", title: example.seq_id, onclick: () => tryExample(example) }, nameOf(example)),
    ),
  );
}

/** Name of a sequence: its description up to the first comma, as databases write it, or its identifier. */
const nameOf = ({ seq_id, description }) => description.split(",")[0].slice(0, 48) || seq_id;

/** Search with a part from the middle of an example. */
function tryExample({ seq_id, source, file, length }) {
  const start = Math.max(0, Math.floor((length - EXAMPLE_LETTERS) / 2));
  return searchWith({ seq_id, source, file, start, end: Math.min(length, start + EXAMPLE_LETTERS) });
}

/** Search with a sequence of the corpus. */
async function searchWith(part) {
  query.scrollIntoView({ block: "center" });
  try {
    fill(await fasta(part), part);
  } catch (error) {
    search.refuse(error);
    return;
  }
  await submit();
}

function fill(text, from = null) {
  query.value = text;
  origin = from;
  measure();
}

/** Show the approximate length of the query, without parsing it. */
function measure() {
  const lines = query.value.split("\n");
  const letters = lines.filter((line) => !line.startsWith(">")).reduce((sum, line) => sum + line.replace(/\s/g, "").length, 0);
  const records = lines.filter((line) => line.startsWith(">")).length;
  byId("query-size").textContent = letters ? `${counted(Math.max(1, records), "sequence")}, ${counted(letters, "letter")}` : "";
}

async function readFile(file) {
  try {
    const begins = new Uint8Array(await file.slice(0, 2).arrayBuffer());
    const isGzip = begins[0] === 0x1f && begins[1] === 0x8b;
    const stream = isGzip ? file.stream().pipeThrough(new DecompressionStream("gzip")) : file.stream();
    const text = await limited(stream, limits?.max_body_bytes ?? Infinity);
    if (UNPRINTED.test(text)) throw new Problem(`${file.name} holds no text. Expected FASTA, plain or compressed with gzip; the command line reads bzip2 and Zstandard too.`);
    fill(text);
    search.say(`Read ${file.name}. Press Search.`);
    query.focus();
  } catch (error) {
    search.refuse(error instanceof Problem ? error : new Problem(`${file.name} could not be read: ${error.message}`));
  }
}

/** Read a stream as text, up to the server's limit. */
async function limited(stream, most) {
  const decoder = new TextDecoder();
  let text = "";
  for (const reader = stream.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
    if (text.length > most) {
      await reader.cancel();
      throw new Problem(`The file holds more than the ${count(most)} bytes that the server takes. Use the command line for it.`);
    }
  }
}

const submit = () => search.run(ask, show);

async function ask() {
  const request = {
    queries: query.value,
    top_n: numberIn("top-n"),
    threshold: numberIn("threshold"),
    source: byId("source").value || null,
    strand: byId("both-strands").checked ? "both" : "given",
    sort: byId("sort").value,
  };
  const { queries, ...options } = request;
  const named = origin && Object.fromEntries(Object.entries(origin).map(([name, value]) => [`query_${name}`, value ?? ""]));
  remember({ search: "similar", ...(named ?? { query: queries }), ...options, source: options.source ?? "" });
  return { request, answer: await post("api/similar", request) };
}

/** Fill the form from the address, and search. */
export async function restore(fields) {
  byId("top-n").value = fields.get("top_n") ?? 10;
  byId("threshold").value = fields.get("threshold") ?? 0;
  choose(byId("source"), fields.get("source") ?? "");
  byId("both-strands").checked = fields.get("strand") !== "given";
  byId("sort").value = fields.get("sort") === "containment" ? "containment" : "similarity";
  if (fields.has("query")) {
    fill(fields.get("query"));
    await submit();
  } else if (fields.has("query_seq_id")) {
    const given = (name) => fields.get(`query_${name}`) ?? undefined;
    await searchWith({ seq_id: given("seq_id"), source: given("source"), file: given("file"), start: given("start"), end: given("end") });
  }
}

function show({ request, answer }) {
  const found = answer.results.reduce((sum, result) => sum + result.hits.length, 0);
  const searched = `tfidf_index version ${answer.searched.tfidf_index}`;
  const of = answer.results.length === 1 ? "" : ` for ${counted(answer.results.length, "query", "queries")}`;
  const sorted = request.sort === "containment" ? ` Sorted by containment among the ${count(answer.candidates)} most similar sequences.` : "";
  search.say(`${found ? counted(found, "hit") : "No hits"}${of} in ${duration(answer.seconds)}, ${searched}.${sorted}`);
  const rows = () =>
    answer.results.flatMap(({ query: name, hits }) => hits.map((hit) => COLUMNS.map((column) => (column === "query" ? name : hit[column]))));
  const { queries, ...settings } = request;
  const { tfidf_index: version, data_version } = answer.searched;
  const facts = {
    table: "tfidf_index",
    version,
    data_version,
    sequences_searched: answer.sequences_searched,
    settings,
    candidates: answer.candidates,
    queries: answer.results.length,
    queries_without_hits: answer.results.filter(({ hits }) => hits.length === 0).map((result) => result.query),
    refused: answer.refused,
  };
  const identifiers = () => answer.results.flatMap(({ hits }) => hits.map((hit) => hit.seq_id));
  const refusals = answer.refused.map(({ reason }) => element("p", { className: "notice", role: "alert" }, `Not searched: ${reason}`));
  search.show(
    ...refusals,
    found ? savers("similar", () => separated(facts, COLUMNS, rows()), answer, identifiers, (words) => search.say(words)) : null,
    ...answer.results.map((result, place) => resultOf(request, recordsOf(queries)[result.record - 1], result, place)),
  );
  search.reveal();
}

/** The records of a text that the server has accepted. */
const recordsOf = (text) => (text.trim().startsWith(">") ? text.trim().split(/\n(?=>)/) : [text]);

function resultOf(request, record, result, place) {
  const heading = element("h2", { id: `result-${place}` }, element("bdi", {}, result.query), element("small", {}, counted(result.length, "letter")));
  if (result.hits.length === 0) {
    const least = request.threshold > 0 ? ` at least ${request.threshold} similar to it` : " similar to it: none shares a 6-mer";
    const where = request.source ? `No sequence of ${request.source} is` : "No sequence of the corpus is";
    return element("section", { className: "result" }, heading, element("p", { className: "empty" }, `${where}${least}.`));
  }
  const hits = result.hits.map((hit) => hitOf(request, record, result.query, hit, `${place}-${hit.rank}`));
  const names = element(
    "div",
    { className: "heads", "aria-hidden": "true" },
    element("span", { className: "value" }, "similarity"),
    element("span", { className: "held" }, "containment"),
  );
  return element(
    "section",
    { className: "result", "aria-labelledby": heading.id },
    heading,
    element("p", { className: "hint" }, meaning(request, result.hits[0])),
    names,
    element("ol", { className: "hits" }, ...hits),
  );
}

/** How to read a containment, in one sentence. */
function meaning(request, { k, containment }) {
  if (containment === null) return `Containment needs ${k} letters of A, C, G, T in a row, to be specific for a query of this length.`;
  const strand = request.strand === "both" ? ", on either strand" : "";
  return `Containment is the share of the query’s distinct ${k}-mers that a sequence holds${strand}: 100 % is the whole query, and near 0 % is none of it, however high the similarity.`;
}

/** A share in percent: "100 %" and "0 %" are exact. */
function percent(share) {
  if (share === 0 || share === 1) return `${share * 100} %`;
  return `${Math.min(99.99, Math.max(0.01, share * 100)).toFixed(share < 0.1 || share > 0.999 ? 2 : 1)} %`;
}

function hitOf(request, record, queryName, hit, name) {
  const why = element("div", { id: `why-${name}`, className: "why", role: "region", "aria-label": `Why ${hit.seq_id} is similar`, hidden: true });
  const value = element("span", { className: "value" }, element("span", { className: "label" }, "similarity "), similarity(hit.similarity));
  // Without a shared k-mer the strand is that of the larger similarity, often no more than chance.
  if (request.strand === "both" && hit.containment > 0) value.append(element("small", {}, hit.strand === "-" ? "reverse complement" : "as given"));
  const held = element("span", { className: "held" }, element("span", { className: "label" }, "containment "), hit.containment === null ? "–" : percent(hit.containment));
  if (hit.identity !== null) held.append(element("small", {}, `identity ≈ ${percent(hit.identity)}`));
  const button = element(
    "button",
    { type: "button", className: "hit", "aria-expanded": "false", "aria-controls": why.id },
    element("span", { className: "rank" }, String(hit.rank)),
    element("span", { className: "name" }, element("b", {}, hit.seq_id), element("span", {}, hit.description)),
    sourceName(hit.source),
    element("span", { className: "length" }, bases(hit.length)),
    bar(request.sort === "containment" ? (hit.containment ?? 0) : hit.similarity),
    value,
    held,
  );
  button.addEventListener("click", () => {
    const opens = why.hidden;
    why.hidden = !opens;
    button.setAttribute("aria-expanded", String(opens));
    if (opens && !why.hasChildNodes()) explanation(why, record, queryName, hit, request.strand, searchWith);
  });
  return element("li", {}, button, why);
}

byId("similar").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
query.addEventListener("input", () => {
  origin = null;
  measure();
});
query.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("similar").requestSubmit();
});
byId("clear").addEventListener("click", () => {
  fill("");
  query.focus();
});
byId("choose").addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", async ({ target }) => {
  if (target.files.length) await readFile(target.files[0]);
  target.value = "";
});
for (const kind of ["dragenter", "dragover"]) {
  query.addEventListener(kind, (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    query.classList.add("over");
  });
}
query.addEventListener("dragleave", () => query.classList.remove("over"));
query.addEventListener("drop", (event) => {
  query.classList.remove("over");
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  readFile(event.dataTransfer.files[0]);
});
