// The page of jobs: sending, the list with its progress, one job, and its results.
import { get, Problem, refuse, remove, text } from "./api.js";
import { byId, count, counted, element } from "./elements.js";
import { Grid } from "./grid.js";
import * as sending from "./sending.js";

const BUSY_SECONDS = 1.5;
const QUIET_SECONDS = 10;
const SHOWN = 1000; // rows of results
const LARGEST_PAGE = 100000;
const MAY = {
  read: "look at jobs and their results, but not send any",
  submit: "send jobs, and cancel your own",
  admin: "send jobs, and cancel your own and those of others",
};

let kinds = new Map();
let scope = "read";
let client = "";
let chosen = null; // id of the job that is shown
let drawn = ""; // what is shown of it
let timer = 0;

const jobs = new Grid("jobs", [
  { name: "job", value: (job) => job.id.slice(0, 12), show: (job) => element("button", { type: "button", className: "plain", "data-job": job.id, onclick: () => choose(job.id) }, job.id.slice(0, 12)) },
  { name: "kind", value: (job) => job.kind },
  { name: "state", value: (job) => job.state, show: state },
  { name: "size", value: (job) => job.units, show: (job) => counted(job.units, job.unit) },
  { name: "sent", value: (job) => job.received, show: (job) => new Date(job.received).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" }) },
  { name: "by", value: (job) => job.client },
], { sorted: "sent", down: true });

/** A job's state, with a bar and the time left while it is worked on. */
function state(job) {
  const node = element("span", { className: `state ${job.state}` }, words(job));
  if (job.state !== "running") return node;
  const bar = element("progress", { max: 100, value: job.percent, "aria-label": `Progress of ${job.id.slice(0, 12)}` });
  return element("span", {}, node, bar);
}

function words(job) {
  if (job.state === "waiting") return `waiting, place ${job.place ?? "?"}`;
  if (job.state !== "running") return job.state;
  const left = job.seconds_left === null ? "" : `, about ${time(job.seconds_left)} left`;
  return `${job.parts_done} of ${job.parts_wanted} parts, ${Math.round(job.percent)} %${left}`;
}

const time = (seconds) => (seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`);

/** Ask for all jobs, and again soon while one is under way. */
async function refresh() {
  clearTimeout(timer);
  let busy = true;
  try {
    const overview = await get("api/jobs");
    if (!kinds.size) {
      kinds = new Map(overview.kinds.map((kind) => [kind.name, kind]));
      sending.prepare(overview.kinds, (job) => refresh().then(() => choose(job.id)));
    }
    ({ scope, client } = overview);
    byId("who").textContent = `${client ? `Known here as ${client}, you` : "You"} may ${MAY[scope]}. ${counted(overview.total, "job")}.`;
    byId("send-title").parentElement.hidden = scope === "read";
    if (overview.jobs.length) {
      if (!jobs.node.isConnected) byId("jobs").replaceChildren(jobs.node);
      const focused = document.activeElement?.dataset?.job;
      jobs.show(overview.jobs);
      if (focused) jobs.node.querySelector(`[data-job="${focused}"]`)?.focus();
    }
    busy = overview.jobs.some((job) => job.state === "waiting" || job.state === "running");
    byId("problem").hidden = true;
    const job = overview.jobs.find(({ id }) => id === chosen);
    if (job) await show(job);
  } catch (error) {
    byId("problem").hidden = false;
    byId("problem").textContent = error instanceof Problem ? error.message : `The page failed: ${error.message}`;
    if (!(error instanceof Problem)) throw error;
  }
  timer = setTimeout(refresh, 1000 * (busy ? BUSY_SECONDS : QUIET_SECONDS));
}

async function choose(id) {
  chosen = id;
  drawn = "";
  await refresh();
  byId("job-title").focus();
}

/** Show a job: what must be known of it, and its results when it is done. */
async function show(job) {
  const facts = JSON.stringify({ ...job, seconds_left: null, percent: 0, place: job.place });
  if (facts === drawn) return;
  drawn = facts;
  byId("job").hidden = false;
  byId("job-title").textContent = `Job ${job.id.slice(0, 12)}: ${words(job)}`;
  const ended = !["waiting", "running"].includes(job.state);
  const may = scope === "admin" || (scope === "submit" && job.client === client);
  const cancel = element("button", { type: "button", className: "plain", onclick: () => end(job) }, "Cancel this job");
  byId("job-body").replaceChildren(
    ...job.notes.map((note) => element("p", { className: "hint" }, note)),
    ...(job.error ? [element("p", { className: "notice" }, job.error)] : []),
    ...(!ended && may ? [cancel] : []),
  );
  if (job.state === "done") await showResults(job);
  else byId("results").replaceChildren();
}

async function end(job) {
  try {
    await remove(`${kinds.get(job.kind).path}/${job.id}`);
  } catch (error) {
    refuse(byId("results"), error);
  }
  await refresh();
}

async function showResults(job) {
  const choices = job.tables.map(({ name, rows }) => element("option", { value: name }, `${name} (${counted(rows, "row")})`));
  const table = element("select", { id: "table", onchange: () => read() }, ...choices);
  const forms = element("select", { id: "form" }, ...kinds.get(job.kind).forms.map((form) => element("option", { value: form, selected: form === "tsv" }, form)));
  const place = element("div");
  const said = element("p", { className: "status", role: "status" });
  const path = `${kinds.get(job.kind).path}/${job.id}/results`;
  const load = element("button", { type: "button", className: "primary", onclick: () => download(job, path, table.value, forms.value, said) }, "Download");
  const field = (id, label, input) => element("div", { className: "field" }, element("label", { htmlFor: id }, label), input);
  byId("results").replaceChildren(element("div", { className: "options" }, field("table", "Table", table), field("form", "Form", forms), load), said, place);
  async function read() {
    try {
      const page = await get(path, { table: table.value, limit: SHOWN });
      const names = page.rows.length ? Object.keys(page.rows[0]) : [];
      if (!names.length) {
        place.replaceChildren(element("p", { className: "empty" }, `${table.value} has no rows.`));
        return;
      }
      const grid = new Grid(`rows of ${table.value}`, names.map((name) => ({ name, value: (row) => row[name] })));
      grid.show(page.rows);
      const more = page.next === null ? [] : [element("p", { className: "hint" }, `The first ${count(SHOWN)} of ${counted(page.table.rows, "row")}; the download has all.`)];
      place.replaceChildren(...more, grid.node);
    } catch (error) {
      refuse(place, error);
    }
  }
  await read();
}

/** Save results: of a table page by page, or in a form of the kind, which holds them as a whole. */
async function download(job, path, table, form, said) {
  const own = !["json", "ndjson", "tsv", "parquet"].includes(form);
  const rows = job.tables.find(({ name }) => name === table).rows;
  if (["json", "parquet"].includes(form) && rows > LARGEST_PAGE) {
    said.textContent = `${table} has more than ${count(LARGEST_PAGE)} rows: choose tsv or ndjson, or use opengenome results.`;
    return;
  }
  said.textContent = "Downloading…";
  try {
    const pieces = [];
    for (let offset = 0; offset === 0 || (!own && offset < rows); offset += LARGEST_PAGE) {
      const parameters = own ? { format: form } : { format: form, table, offset: String(offset), limit: LARGEST_PAGE };
      const piece = await text(path, parameters);
      pieces.push(form === "tsv" && offset ? new Blob([(await piece.text()).replace(/^.*\n/, "")]) : piece);
    }
    const ending = { hamronization: "hamronization.tsv" }[form] ?? form;
    const address = URL.createObjectURL(new Blob(pieces));
    element("a", { href: address, download: `${job.id.slice(0, 12)}${own ? "" : `_${table}`}.${ending}` }).click();
    URL.revokeObjectURL(address);
    said.textContent = "Downloaded.";
  } catch (error) {
    said.textContent = "";
    refuse(said, error);
  }
}

refresh();
