// The page: choose a model, give measurements, read the answer and what it rests on.

import * as api from "./api.js";
import { csv, overview, samples } from "./answer.js";
import { card } from "./card.js";
import { byId, el, show } from "./dom.js";
import { figure, legend } from "./figures.js";
import { Inputs } from "./inputs.js";

let served = [];
let model = null;
let asked = null; // { body, together, at }: what the shown answer is of
let answers = [];
let selected = 0;
let turn = 0; // answers of an earlier question that come late are dropped

const inputs = new Inputs((complete) => complete && ask());

function say(words, busy = false) {
  byId("status").textContent = words;
  byId("status").classList.toggle("busy", busy);
  byId("go").disabled = busy;
}

function trouble(error) {
  if (!error) return show(byId("trouble"));
  const problems = (error.problems ?? []).map((p) => el("li", {}, el("b", {}, p.where), ` ${p.what}`));
  show(byId("trouble"), el("div", { class: "trouble" }, el("p", {}, error.message), problems.length > 0 && el("ul", {}, problems)));
}

function forget() {
  [asked, answers, selected] = [null, [], 0];
  turn += 1;
  show(byId("result"));
  trouble(null);
  byId("tools").hidden = true;
}

function choose(name) {
  model = served.find((m) => m.name === name);
  inputs.setModel(model);
  show(byId("card"), card(model.card));
  byId("about").hidden = !model.card;
  forget();
  say("Give a measurement, or load the simulated example.");
}

async function ask() {
  if (inputs.empty()) {
    trouble(new api.Refusal("Nothing to answer yet: choose a file or fill in a value."));
    return;
  }
  forget();
  const mine = turn;
  asked = { body: inputs.body(), together: byId("together").checked, at: Date.now() };
  say("The model is being asked …", true);
  try {
    const found = await api.predict(model.name, asked.body, { views: true, together: asked.together });
    if (mine !== turn) return;
    answers = found.answers;
    byId("tools").hidden = false;
    const drawn = select(0);
    if (byId("answer").getBoundingClientRect().top > window.innerHeight / 2) byId("answer").scrollIntoView();
    await drawn;
  } catch (error) {
    if (mine !== turn) return;
    say("No answer.");
    trouble(error);
  }
}

async function select(i) {
  selected = i;
  const answer = answers[i];
  const why = el("section", { class: "why", "aria-labelledby": "why-title" });
  const focused = document.activeElement?.closest(".samples") !== null;
  show(byId("result"), samples(answers, model.tasks, i, select), overview(answer, model), why);
  if (focused) document.querySelector(".samples [aria-current]")?.focus();
  say(summary(answer));
  byId("stamp").textContent = `Model ${model.name}, polydx ${byId("version").textContent}, ${new Date(asked.at).toLocaleString()}.`;
  await explain(why, Object.keys(model.tasks)[0], null);
}

function summary(answer) {
  const told = Object.entries(answer.tasks).filter(([name]) => {
    const parent = model.tasks[name].parent;
    return parent === null || answer.tasks[parent[0]].decision === parent[1];
  });
  const which = answers.length > 1 ? `Sample ${selected + 1} of ${answers.length}, ` : "";
  return `${which}${answer.sample}: ${told.map(([name, found]) => `${name} ${found.decision ?? "undecided"}`).join("; ")}.`;
}

function chooser(why, task, label) {
  const options = Object.entries(model.tasks).flatMap(([name, about]) => about.classes.map((c) => el("option",
    { value: JSON.stringify([name, c]), selected: name === task && c === label }, `${name}: ${c}`)));
  return el("div", { class: "choose" }, el("div", { class: "field" }, el("label", { htmlFor: "what" }, "Explain"),
    el("select", { id: "what", onchange: (event) => explain(why, ...JSON.parse(event.target.value)) }, options)));
}

async function explain(why, task, label) {
  const [mine, sample] = [turn, selected];
  const answer = answers[sample];
  const decided = label ?? answer.tasks[task].decision ?? model.tasks[task].classes[0];
  const focused = document.activeElement?.id === "what";
  const head = [el("h2", { id: "why-title" }, "What the answer rests on"), chooser(why, task, decided)];
  const plain = Object.entries(answer.views ?? {}).map(([name, view]) => figure(name, view));
  show(why, head, el("p", { class: "hint busy", role: "status" }, "Hiding one part after another …"), el("div", { class: "figures" }, plain));
  if (focused) byId("what").focus();
  try {
    const found = await api.explain(model.name, asked.body, { together: asked.together, sample, task, label: decided });
    if (mine !== turn || sample !== selected || byId("what")?.value !== JSON.stringify([task, decided])) return;
    show(why, [...why.children].slice(0, 2), legend(decided), without(found),
      el("div", { class: "figures" }, Object.entries(found.views).map(([name, view]) => figure(name, view, found.parts[name]))),
      el("p", { class: "hint" }, `Measured by hiding each part in turn: how far the log-odds of ${decided} fall. It shows what this model uses, not what causes the disease.`));
  } catch (error) {
    if (mine !== turn || sample !== selected) return;
    show(why, head, el("p", { class: "hint off" }, `No explanation: ${error.message}`), el("div", { class: "figures" }, plain));
  }
}

function without(found) {
  if (!found.without) return null;
  const told = Object.entries(found.without).map(([name, p]) => `without ${name} ${(100 * p).toFixed(1)} %`);
  return el("p", { class: "hint" }, `Probability of ${found.label}: ${(100 * found.probability).toFixed(1)} %; ${told.join(", ")}.`);
}

function save() {
  const address = URL.createObjectURL(new Blob([csv(answers, model)], { type: "text/csv" }));
  el("a", { href: address, download: `${model.name}-answers.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

async function example() {
  try {
    inputs.setExample(await api.example(model.name));
    await ask();
  } catch (error) {
    trouble(error);
  }
}

byId("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  await ask();
  if (answers.length) byId("answer").focus();
});
byId("model").addEventListener("change", (event) => choose(event.target.value));
byId("example").addEventListener("click", example);
byId("clear").addEventListener("click", () => choose(model.name));
byId("csv").addEventListener("click", save);
byId("print").addEventListener("click", () => window.print());

try {
  served = (await api.models()).models;
  byId("version").textContent = (await api.health()).version;
  show(byId("model"), served.map((m) => el("option", { value: m.name }, m.name)));
  choose(served[0].name);
} catch (error) {
  say("No answer.");
  trouble(error);
}
