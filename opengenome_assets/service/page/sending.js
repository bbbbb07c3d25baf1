// The form that sends a job: its kind, files that are chosen or dropped, their roles, and options.
import { post, refuse, upload } from "./api.js";
import { byId, element } from "./elements.js";

let kinds = [];
let files = [];

const kind = () => kinds.find(({ name }) => name === byId("kind").value);

/** Show what can be sent. */
export function prepare(known, sent) {
  kinds = known;
  byId("kind").replaceChildren(...kinds.map(({ name }) => element("option", { value: name }, name)));
  byId("kind").addEventListener("change", showKind);
  byId("choose").addEventListener("click", () => byId("files").click());
  byId("files").addEventListener("change", () => {
    add(byId("files").files);
    byId("files").value = "";
  });
  const drop = byId("drop");
  for (const name of ["dragover", "dragenter"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    add(event.dataTransfer.files);
  });
  byId("send").addEventListener("submit", async (event) => {
    event.preventDefault();
    byId("go").disabled = true;
    byId("send-problem").replaceChildren();
    try {
      sent(await send());
    } catch (error) {
      byId("send-status").textContent = "";
      refuse(byId("send-problem"), error);
    }
    byId("go").disabled = false;
  });
  showKind();
}

function showKind() {
  const { description, options } = kind();
  byId("kind-hint").textContent = description;
  byId("options").replaceChildren(...Object.entries(options).map(([name, schema]) => field(name, schema)));
  showFiles();
}

/** A field for an option, by its JSON schema. */
function field(name, schema) {
  const id = `option-${name}`;
  const types = schema.anyOf ?? [schema];
  const choices = types.flatMap((each) => each.enum ?? []);
  const number = types.some(({ type }) => type === "integer" || type === "number");
  const value = schema.default ?? "";
  let input = element("input", { id, type: number ? "number" : "text", step: "any", placeholder: String(value), "aria-describedby": `${id}-hint` });
  if (choices.length) input = element("select", { id, "aria-describedby": `${id}-hint` }, ...choices.map((each) => element("option", { value: each, selected: each === value }, each)));
  input.dataset.option = name;
  return element("div", { className: "field" }, element("label", { htmlFor: id }, name.replaceAll("_", " ")), input, element("p", { className: "hint", id: `${id}-hint` }, schema.description ?? ""));
}

function add(more) {
  files.push(...[...more].map((file) => ({ file, role: "" })));
  showFiles();
}

function showFiles() {
  const roles = Object.keys(kind().roles);
  byId("chosen").replaceChildren(...files.map((each) => {
    if (!roles.includes(each.role)) each.role = "";
    const choices = ["", ...roles].map((role) => element("option", { value: role, selected: role === each.role }, role || "role by its name"));
    const role = element("select", { "aria-label": `Role of ${each.file.name}`, onchange: (event) => { each.role = event.target.value; } }, ...choices);
    const remove = element("button", { type: "button", className: "plain", "aria-label": `Remove ${each.file.name}`, onclick: () => { files = files.filter((other) => other !== each); showFiles(); } }, "Remove");
    each.progress = element("progress", { max: 1, value: 0, hidden: true, "aria-label": `Upload of ${each.file.name}` });
    return element("li", {}, element("b", {}, each.file.name), element("span", { className: "muted" }, bytes(each.file.size)), roles.length > 1 ? role : null, remove, each.progress);
  }));
  if (!files.length) byId("chosen").replaceChildren(...Object.entries(kind().roles).map(([role, words]) => element("li", { className: "hint" }, element("b", {}, role), words)));
}

async function send() {
  const sent = [];
  for (const each of files) {
    byId("send-status").textContent = `Uploading ${each.file.name}…`;
    each.progress.hidden = false;
    const { sha256 } = await upload(each.file, (share) => { each.progress.value = share; });
    sent.push({ role: each.role, name: each.file.name, sha256 });
  }
  byId("send-status").textContent = "The server looks at the files…";
  const options = {};
  for (const input of document.querySelectorAll("[data-option]")) {
    const value = input.value.trim();
    if (value !== "") options[input.dataset.option] = input.type === "number" ? Number(value) : value;
  }
  const job = await post(kind().path, { files: sent, options });
  byId("send-status").textContent = `Sent: job ${job.id.slice(0, 12)} is ${job.state}.`;
  files = [];
  showFiles();
  return job;
}

export function bytes(size) {
  const units = ["B", "kB", "MB", "GB"];
  let place = 0;
  while (size >= 1000 && place < units.length - 1) { size /= 1000; place += 1; }
  return `${place ? size.toFixed(1) : size} ${units[place]}`;
}
