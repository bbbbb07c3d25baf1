// Requests to the API: addresses relative to the page, the token, and problems as errors with words for people.
import { byId } from "./elements.js";

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
