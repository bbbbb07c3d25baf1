// Requests to the API: addresses relative to the page, the token, and problems as errors with words for people.
import { byId, element } from "./elements.js";

const KEPT = "opengenome-token";

export class Problem extends Error {
  constructor(words, status = 0) {
    super(words);
    this.status = status;
  }
}

/** Whether this tab has a token. */
export const hasToken = () => sessionStorage.getItem(KEPT) !== null;

export async function get(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== "" && value !== false);
  const query = new URLSearchParams(given).toString();
  return (await ask(query ? `${path}?${query}` : path)).json();
}

export async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

/** Content as it is, to be saved. */
export async function text(path, parameters = {}) {
  return (await ask(`${path}?${new URLSearchParams(parameters)}`)).blob();
}

export async function remove(path) {
  return (await ask(path, { method: "DELETE" })).json();
}

/** Upload a file; `told` hears which share of it has been sent. Only XMLHttpRequest says that. */
export async function upload(file, told) {
  const send = () => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "api/uploads");
    const token = sessionStorage.getItem(KEPT);
    if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => told(event.total ? event.loaded / event.total : 1));
    request.addEventListener("load", () => resolve(request));
    request.addEventListener("error", () => reject(new Problem("The server does not take the file, or does not answer. Send it again.")));
    request.send(file);
  });
  const answer = await send();
  let content = {};
  try {
    content = JSON.parse(answer.responseText);
  } catch { /* a proxy's page */ }
  if (answer.status >= 300) throw new Problem(content.detail ?? `The server answers ${answer.status}.`, answer.status);
  return content;
}

/** The letters of a record of the corpus, or a part of them, as FASTA. */
export async function fasta({ seq_id, source, file, start, end }) {
  const parameters = new URLSearchParams({ seq_id, source, file });
  if (start !== undefined) parameters.set("start", start);
  if (end !== undefined) parameters.set("end", end);
  return (await ask(`api/sequences/fasta?${parameters}`)).text();
}

async function ask(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem(KEPT);
    if (token && !/^[!-~]+$/.test(token)) { // no header can hold it, and no server's token is like it
      await askForToken(true);
      continue;
    }
    const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch {
      throw new Problem("The server does not answer. Is it still running?");
    }
    if (answer.ok) return answer;
    if (answer.status !== 401) throw new Problem(await words(answer), answer.status);
    await askForToken(token !== null);
  }
}

async function words(answer) {
  try {
    return (await answer.json()).detail;
  } catch {
    return `The server answers ${answer.status} ${answer.statusText}.`;
  }
}

/** Show an error: a problem in its words, line by line. */
export function refuse(place, error) {
  if (!(error instanceof Problem)) console.error(error);
  const message = error instanceof Problem ? error.message : `The page failed: ${error.message}`;
  place.replaceChildren(element("p", { className: "notice lines", role: "alert" }, message));
}

let asking = null;

/** Show the dialog once, for all requests that wait for it. */
function askForToken(refused) {
  asking ??= new Promise((resolve, reject) => {
    const dialog = byId("token-dialog");
    if (refused) byId("token-problem").textContent = "The server does not accept that token. Try again.";
    dialog.addEventListener("close", () => {
      asking = null;
      const token = byId("token").value.trim();
      byId("token").value = "";
      if (dialog.returnValue !== "use" || !token) {
        reject(new Problem("This server searches only for those who have its token. Reload the page to enter it."));
        return;
      }
      sessionStorage.setItem(KEPT, token);
      resolve();
    }, { once: true });
    dialog.returnValue = "";
    dialog.showModal();
  });
  return asking;
}
