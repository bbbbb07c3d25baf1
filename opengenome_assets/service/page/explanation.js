// Why a hit is similar: where it matches, the shared 6-mers with the largest share, and both profiles against each other.
import { fasta, post } from "./api.js";
import { bar, count, counted, element, svg } from "./elements.js";

const [WIDTH, HALF, TOP, BINS] = [640, 175, 26, 512];
const [PLOT_HEIGHT, LEFT, LISTED] = [240, 8, 8];

/** Fill a hit's panel. */
export async function explanation(panel, record, name, hit, strand, searchWith) {
  panel.replaceChildren(element("p", { className: "muted", role: "status" }, "Loading the explanation…"));
  const { seq_id, source, file } = hit;
  try {
    const answer = await post("api/explain", { query: record, seq_id, source, file, strand });
    panel.replaceChildren(
      matches(answer, name, hit),
      element("div", { className: "why-columns" }, terms(answer), element("div", {}, profiles(answer, name, hit), actions(hit, searchWith))),
    );
  } catch (error) {
    panel.replaceChildren(element("p", { className: "notice", role: "alert" }, error.message));
  }
}

/** Where the hit matches: a dot plot of the stretches that shared k-mers line up to, and those with the most of them as a table. */
function matches({ matches: { k, stretches, total, covered, searched }, length }, name, hit) {
  const rest = searched < hit.length ? ` Only the first ${count(searched)} letters of the hit were looked through, up to the millionth place that holds a k-mer of the query.` : "";
  if (total === 0) {
    const words = `Query and hit share no ${k}-mer outside repeats: they are similar in composition, and nothing says where.${rest}`;
    return element("div", { className: "matches" }, element("h4", {}, "Where it matches"), element("p", { className: "muted" }, words));
  }
  const range = (start, end) => `${count(start)}–${count(end)}`;
  const part = extent(stretches);
  const axes = `Query 0–${count(length)} from left to right, hit ${range(...part)} of ${count(hit.length)} downwards`;
  const turned = stretches.some((each) => each.strand === "-") ? "; a line that rises is on the reverse complement" : "";
  const summary = `${counted(total, "stretch", "stretches")} of shared ${k}-mers on ${percent(covered)} of the query's letters. ${axes}${turned}.${rest}`;
  const listed = stretches.slice(0, LISTED);
  const rows = listed.map((each) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, range(each.query_start, each.query_end)),
      element("td", {}, range(each.hit_start, each.hit_end)),
      element("td", {}, each.strand === "-" ? "reverse" : "as given"),
      element("td", {}, count(each.query_end - each.query_start)),
    ),
  );
  const head = ["in query", "in hit", "strand", "letters"].map((words) => element("th", { scope: "col" }, words));
  const most = listed.length < total ? `The ${listed.length} with the most shared k-mers. ` : "";
  const table = element(
    "table",
    { className: "terms stretches" },
    element("caption", {}, `${most}Letters are counted from 0, the end is not included.`),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows),
  );
  return element(
    "div",
    { className: "matches" },
    element("h4", {}, "Where it matches"),
    element("div", { className: "why-columns" }, table, element("figure", {}, element("figcaption", {}, summary), dots(stretches, length, part, name, hit))),
  );
}

/** The part of the hit from the first to the last of the stretches. */
const extent = (stretches) => [Math.min(...stretches.map((each) => each.hit_start)), Math.max(...stretches.map((each) => each.hit_end))];

/** A dot plot: the whole query from left to right, a part of the hit from top to bottom. */
function dots(stretches, length, [first, last], name, hit) {
  const x = (letter) => (LEFT + (letter * (WIDTH - 2 * LEFT)) / Math.max(1, length)).toFixed(1);
  const y = (letter) => (TOP + ((letter - first) * PLOT_HEIGHT) / Math.max(1, last - first)).toFixed(1);
  const line = ({ query_start, query_end, hit_start, hit_end, strand }) =>
    strand === "-" ? `M${x(query_start)} ${y(hit_end)}L${x(query_end)} ${y(hit_start)}` : `M${x(query_start)} ${y(hit_start)}L${x(query_end)} ${y(hit_end)}`;
  const of = (sign) => stretches.filter((each) => each.strand === sign).map(line).join("");
  const bottom = TOP + PLOT_HEIGHT;
  return svg(
    "svg",
    {
      class: "profiles dots",
      viewBox: `0 0 ${WIDTH} ${bottom + 34}`,
      role: "img",
      "aria-label": `Dot plot of ${name}, from left to right, and of letters ${count(first)} to ${count(last)} of ${hit.seq_id}, downwards`,
    },
    svg("path", { class: "axis", d: `M${LEFT} ${TOP}H${WIDTH - LEFT}V${bottom}H${LEFT}Z` }),
    svg("path", { class: "query", d: of("+") }),
    svg("path", { class: "subject", d: of("-") }),
    svg("text", { class: "label", x: LEFT, y: TOP - 8 }, `hit ${shortened(hit.seq_id)}`),
    svg("text", { class: "label", x: LEFT, y: bottom + 22 }, `query ${shortened(name)}`),
  );
}

function terms({ terms: shared, shared: all }) {
  const whole = shared.reduce((sum, term) => sum + term.share, 0);
  const most = Math.max(...shared.map((term) => term.share));
  const heaviest = `${count(shared.length)} of ${count(all)} shared 6-mers, those with the largest share: ${percent(whole)} of the similarity.`;
  const head = ["6-mer", "in query", "in hit", "share"].map((words) => element("th", { scope: "col" }, words));
  const rows = shared.map((term) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, term.kmer),
      element("td", {}, count(term.query_count)),
      element("td", {}, count(term.hit_count)),
      element("td", {}, percent(term.share)),
      element("td", {}, bar(term.share / most)),
    ),
  );
  return element(
    "table",
    { className: "terms" },
    element("caption", {}, shared.length === all ? `All ${count(all)} shared 6-mers.` : heaviest),
    element("thead", {}, element("tr", {}, ...head, element("td", { "aria-hidden": "true" }))),
    element("tbody", {}, ...rows),
  );
}

const percent = (share) => `${(share * 100).toFixed(share < 0.0995 ? 2 : 1)} %`;

/** A mirror plot: the query's profile upwards and the hit's downwards, as for mass spectra. */
function profiles({ strand: explained, query_profile: above, hit_profile: below }, name, hit) {
  const [up, down] = [above, below].map(highest);
  const most = Math.max(...up, ...down);
  const middle = TOP + HALF;
  const needles = (values, sign) =>
    values.map((value, bin) => (value ? `M${((bin + 0.5) * WIDTH) / BINS} ${middle}v${((-sign * value * HALF) / most).toFixed(2)}` : "")).join("");
  const letters = ["A", "C", "G", "T"].flatMap((letter, place) => [
    svg("path", { class: "grid", d: `M${(place * WIDTH) / 4} ${TOP}V${middle + HALF}` }),
    svg("text", { x: ((place + 0.5) * WIDTH) / 4, y: middle + HALF + 22, "text-anchor": "middle" }, `${letter}…`),
  ]);
  const label = `Weights of the 4,096 6-mers in ${name}, upwards, and in ${hit.seq_id}, downwards`;
  const picture = svg(
    "svg",
    { class: "profiles", viewBox: `0 0 ${WIDTH} ${2 * (TOP + HALF) + 30}`, role: "img", "aria-label": label },
    ...letters,
    svg("path", { class: "query", d: needles(up, 1) }),
    svg("path", { class: "subject", d: needles(down, -1) }),
    svg("path", { class: "axis", d: `M0 ${middle}H${WIDTH}` }),
    svg("text", { class: "label", x: 4, y: TOP - 8 }, `query ${shortened(name)}`),
    svg("text", { class: "label", x: 4, y: middle + HALF + 48 }, `hit ${shortened(hit.seq_id)}`),
  );
  const strand = explained === "-" ? " The query's profile is that of its reverse complement, which is more similar." : "";
  return element("figure", {}, element("figcaption", {}, `TF-IDF weights of all 6-mers in alphabetical order, query above and hit below.${strand}`), picture);
}

const shortened = (name) => (name.length > 40 ? `${name.slice(0, 39)}…` : name);

/** The maximum of each bin of neighbours: a screen has fewer columns than there are 6-mers. */
function highest(profile) {
  const each = profile.length / BINS;
  return Array.from({ length: BINS }, (_, bin) => Math.max(...profile.slice(bin * each, (bin + 1) * each)));
}

function actions(hit, searchWith) {
  const { seq_id, source, file } = hit;
  const status = element("span", { className: "muted", role: "status" });
  const button = (words, onclick) => element("button", { type: "button", className: "plain", onclick }, words);
  const save = async () => {
    try {
      const address = URL.createObjectURL(new Blob([await fasta({ seq_id, source, file })], { type: "text/x-fasta" }));
      element("a", { href: address, download: `${seq_id}.fasta` }).click();
      URL.revokeObjectURL(address);
    } catch (error) {
      status.textContent = error.message;
    }
  };
  return element("p", { className: "tools" }, button("Search with this sequence", () => searchWith({ seq_id, source, file })), button("Save as FASTA", save), status);
}
