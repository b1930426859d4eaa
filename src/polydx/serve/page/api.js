// Calls of the REST API of the server this page came from; nothing else is ever asked.

import { byId } from "./dom.js";

let key = "";

export class Refusal extends Error {
  constructor(message, problems = []) {
    super(message);
    this.problems = problems;
  }
}

function askForKey() {
  const dialog = byId("key-dialog");
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => {
    key = byId("key").value;
    done(key !== "");
  }, { once: true }));
}

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...options.headers, ...(key ? { "X-API-Key": key } : {}) } });
  } catch {
    throw new Refusal("The server does not answer. Is it still running?");
  }
  if (response.status === 401 && (await askForKey())) return call(path, options);
  let body;
  try {
    body = await response.json();
  } catch {
    throw new Refusal(`The server answered with something unreadable (status ${response.status}).`);
  }
  if (!response.ok) throw new Refusal(body.error?.message ?? `status ${response.status}`, body.error?.problems ?? []);
  return body;
}

const model = (name) => `v1/models/${encodeURIComponent(name)}`;

function post(path, query, body) {
  const found = Object.entries(query).filter(([, value]) => value !== null && value !== false);
  const words = new URLSearchParams(found.map(([name, value]) => [name, String(value)]));
  const json = !(body instanceof FormData);
  return call(`${path}?${words}`, {
    method: "POST",
    body: json ? JSON.stringify(body) : body,
    headers: json ? { "Content-Type": "application/json" } : {},
  });
}

export const models = () => call("v1/models");
export const health = () => call("healthz");
export const example = (name) => call(`${model(name)}/example`);
export const predict = (name, body, query) => post(`${model(name)}/predict`, query, body);
export const explain = (name, body, query) => post(`${model(name)}/explain`, query, body);
