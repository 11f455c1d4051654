// What the page asks the server. Every failure becomes an Error whose message can be shown as it is.

const KEY = "gdesign-key"; // of this tab alone: gone when it is closed

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export function setKey(key) {
  sessionStorage.setItem(KEY, key);
}

async function ask(path, { body, signal } = {}) {
  const headers = {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      body: body === undefined ? undefined : JSON.stringify(body),
      headers,
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is it still running?", 0);
  }
  if (!response.ok) throw new ApiError(await reason(response), response.status);
  return response;
}

async function reason(response) {
  try {
    const message = (await response.json()).error.message;
    if (typeof message === "string" && message) return message;
  } catch {
    // no JSON of ours, so the status has to do
  }
  return `The server answered with status ${response.status}.`;
}

export const info = async () => (await ask("v1/info")).json();
export const design = async (body, signal) => (await ask("v1/designs", { body, signal })).json();
export const curve = async (question, signal) => (await ask("v1/curves", { body: { question }, signal })).json();
export const exported = async (design, format) => (await (await ask("v1/exports", { body: { design, format } })).json()).text;
export const hasKey = () => sessionStorage.getItem(KEY) !== null;
export async function history(offset, limit, filter) {
  const query = new URLSearchParams({ offset, limit, ...filter });
  const response = await ask(`v1/history?${query}`);
  return { runs: await response.json(), total: Number(response.headers.get("x-total-count")) };
}
export const past = async (id) => (await ask(`v1/history/${encodeURIComponent(id)}`)).json();

/** Run a design, or what is held best for a question; yield `{event, data}` as the server sends them. */
export async function* run(body, signal) {
  const response = await ask("v1/runs", { body, signal });
  try {
    for await (const { event, data } of events(response.body)) yield { event, data: JSON.parse(data) };
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The connection broke before the run ended.", 0);
  }
}

/** Read server-sent events (text/event-stream) from the body of a response. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let cut = false; // whether the last chunk may have ended between the two characters of a line end
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += (cut && value.startsWith("\n") ? value.slice(1) : value).replace(/\r\n?/g, "\n");
    cut = value.endsWith("\r");
    for (let end; (end = rest.indexOf("\n\n")) >= 0; rest = rest.slice(end + 2)) {
      let event = "message";
      const data = [];
      for (const line of rest.slice(0, end).split("\n")) {
        const [, name, text] = /^([^:]*):? ?(.*)$/.exec(line);
        if (name === "event") event = text;
        if (name === "data") data.push(text);
      }
      if (data.length) yield { event, data: data.join("\n") };
    }
  }
}
