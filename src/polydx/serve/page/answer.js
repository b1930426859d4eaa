// The answer: samples, tasks as a tree, a bar a class, what was used, what to beware of.

import { el, percent } from "./dom.js";

export function samples(answers, tasks, selected, choose) {
  if (answers.length < 2) return null;
  const names = Object.keys(tasks);
  const rows = answers.map((answer, i) => el("tr", { class: i === selected ? "selected" : null },
    el("td", {}, el("button", { type: "button", onclick: () => choose(i), "aria-current": i === selected ? "true" : null }, answer.sample)),
    names.map((name) => el("td", {}, moot(tasks[name], answer) ? "–" : (answer.tasks[name].decision ?? "–"))),
    el("td", {}, answer.warnings.length ? `${answer.warnings.length}` : "")));
  return el("div", { class: "samples", tabIndex: 0, role: "region", "aria-label": "Samples" }, el("table", {},
    el("thead", {}, el("tr", {}, ["sample", ...names, "warnings"].map((word) => el("th", { scope: "col" }, word)))),
    el("tbody", {}, rows)));
}

export function overview(answer, model) {
  const used = Object.keys(model.modalities).map((name) => answer.modalities.includes(name)
    ? el("li", {}, `${name}: used`)
    : el("li", { class: "no" }, `${name}: missing`));
  const warnings = answer.warnings.length > 0 && el("div", { class: "warnings" },
    el("h3", {}, answer.warnings.length === 1 ? "Warning" : "Warnings"),
    el("ul", {}, answer.warnings.map((words) => el("li", {}, words))));
  return [
    el("ul", { class: "used", "aria-label": "Modalities" }, used),
    warnings,
    el("div", { class: "tasks" }, inOrder(model.tasks).map((name) => task(name, model.tasks[name], answer))),
  ];
}

// Parents before their children.
function inOrder(tasks) {
  const below = (parent) => Object.keys(tasks).filter((name) => (tasks[name].parent?.[0] ?? null) === parent);
  const walk = (name) => [name, ...below(name).flatMap(walk)];
  return below(null).flatMap(walk);
}

// Whether a task hangs under a class that was not decided.
function moot(about, answer) {
  return about.parent !== null && answer.tasks[about.parent[0]].decision !== about.parent[1];
}

function task(name, about, answer) {
  const found = answer.tasks[name];
  const off = moot(about, answer);
  return el("section", { class: off ? "task moot" : "task", "aria-label": `Task ${name}` },
    el("h3", {}, name),
    about.parent && el("p", { class: "under" }, `if ${about.parent[0]} is ${about.parent[1]}`, off && " (not what was decided)"),
    el("p", { class: "decision" }, found.decision ?? "no decision"),
    el("table", { class: "bars" },
      el("tbody", {}, about.classes.map((label) => bar(label, found.probabilities[label], label === found.decision)))),
    set(found.set, about.classes, found.decision));
}

function bar(label, probability, decided) {
  const fill = el("div", { class: "fill" });
  fill.style.width = `${100 * (probability ?? 0)}%`;
  return el("tr", { class: decided ? "decided" : null },
    el("th", { scope: "row" }, label),
    el("td", { "aria-hidden": "true" }, el("div", { class: "track" }, fill)),
    el("td", { class: "value" }, percent(probability)));
}

function set(found, classes, decision) {
  if (found === null) return el("p", { class: "set" }, "No prediction set: the model carries none for this task.");
  if (found.length === classes.length) return el("p", { class: "set" }, "Prediction set: ", el("b", {}, "all classes"), " – none can be ruled out.");
  if (found.length === 0) return el("p", { class: "set" }, "Prediction set: ", el("b", {}, "none"), " – unlike the training patients of every class.");
  if (decision !== null && !found.includes(decision)) {
    return el("p", { class: "set" }, "Prediction set: ", el("b", {}, found.join(", ")),
      ` – without ${decision}, which was decided: patients of ${decision} in training came out more clearly. Do not rely on it.`);
  }
  return el("p", { class: "set" }, "Prediction set: ", el("b", {}, found.join(", ")), ". Meant for patients; nothing is promised for a single measurement.");
}

// Cells that a spreadsheet would take for formulas are marked as text.
function cell(value) {
  const text = String(value ?? "");
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function csv(answers, model) {
  const names = Object.keys(model.tasks);
  const head = ["model", "sample", ...names.flatMap((n) => [n, ...model.tasks[n].classes.map((c) => `${n}: ${c}`), `${n} set`]), "modalities", "warnings", "note"];
  const rows = answers.map((a) => [model.name, a.sample,
    ...names.flatMap((n) => [a.tasks[n].decision, ...model.tasks[n].classes.map((c) => a.tasks[n].probabilities[c]), a.tasks[n].set?.join("; ")]),
    a.modalities.join("; "), a.warnings.join("; "), "research use only"]);
  return [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}
