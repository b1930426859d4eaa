// What the user gives: files, and the columns of tables as a form. `body()` is what is sent.

import { byId, el, show } from "./dom.js";

const TAKES = { spectra: "text, CSV or XLSX", images: "JPEG, PNG, TIFF, DICOM, BMP, WebP …" };

export class Inputs {
  constructor(changed) {
    this.files = [];
    this.model = null;
    this.sample = null; // an example as it came; given up once anything is changed
    this.changed = changed;
    const drop = byId("drop");
    byId("files").addEventListener("change", (event) => {
      this.add(event.target.files);
      event.target.value = "";
    });
    for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => this.over(event, true));
    for (const name of ["dragleave", "drop"]) drop.addEventListener(name, (event) => this.over(event, false));
    drop.addEventListener("drop", (event) => this.add(event.dataTransfer.files));
    for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
    byId("tables").addEventListener("input", () => this.checkRanges());
  }

  over(event, inside) {
    event.preventDefault();
    byId("drop").classList.toggle("over", inside);
  }

  setModel(model) {
    this.model = model;
    this.sample = null;
    this.files = [];
    const kinds = Object.entries(model.modalities);
    const measured = kinds.filter(([, about]) => about.kind !== "table");
    byId("measurements").hidden = measured.length === 0;
    byId("together-line").hidden = model.unit !== "patient" || kinds.length > 1;
    show(byId("wanted"), measured.map(([name, about]) => el("li", {}, el("strong", {}, name), `: ${told(about)}`)));
    show(byId("tables"), kinds.filter(([, about]) => about.kind === "table").map(([name, about]) => table(name, about)));
    this.list();
  }

  add(files) {
    this.sample = null;
    this.files.push(...files);
    this.list();
    if (files.length) this.changed(this.onlyMeasured());
  }

  onlyMeasured() {
    return Object.values(this.model.modalities).every((about) => about.kind !== "table");
  }

  list() {
    const several = Object.entries(this.model.modalities).filter(([, about]) => about.kind !== "table");
    const rows = this.files.map((file) => el("li", {},
      el("span", { title: file.name }, file.name),
      ambiguous(several) && el("select", { "aria-label": `What ${file.name} is`, onchange: (e) => { file.modality = e.target.value; } },
        el("option", { value: "" }, "by content"),
        several.map(([name]) => el("option", { value: name, selected: file.modality === name }, name))),
      el("button", { type: "button", "aria-label": `Remove ${file.name}`, onclick: () => this.remove(file) }, "Remove")));
    const example = this.sample && el("li", {}, el("span", {}, "simulated example (nobody’s measurement)"));
    show(byId("chosen"), example, rows);
  }

  remove(file) {
    this.files = this.files.filter((other) => other !== file);
    this.list();
    byId("files").focus();
  }

  setExample(body) {
    this.files = [];
    this.sample = body;
    for (const [modality, values] of Object.entries(body.samples[0].inputs)) {
      if (this.model.modalities[modality].kind !== "table") continue;
      for (const [column, value] of Object.entries(values)) byId(`${modality}/${column}`).value = value ?? "";
    }
    this.list();
    this.checkRanges();
  }

  // column -> value of each table; null for what is left empty
  tables() {
    const found = {};
    for (const [name, about] of Object.entries(this.model.modalities)) {
      if (about.kind !== "table") continue;
      const values = about.columns.map((column) => [column.name, read(column, byId(`${name}/${column.name}`).value)]);
      if (values.some(([, value]) => value !== null)) found[name] = Object.fromEntries(values);
    }
    return found;
  }

  checkRanges() {
    for (const input of document.querySelectorAll("#tables input[type=number]")) {
      const hint = byId(input.getAttribute("aria-describedby"));
      const off = input.value !== "" && (Number(input.value) < Number(input.dataset.low) || Number(input.value) > Number(input.dataset.high));
      hint.classList.toggle("off", off);
      hint.textContent = off ? `outside what the model was trained on (${hint.dataset.range})` : hint.dataset.range;
    }
  }

  empty() {
    return this.files.length === 0 && this.sample === null && Object.keys(this.tables()).length === 0;
  }

  body() {
    const tables = this.tables();
    if (this.sample !== null) {
      const measured = Object.entries(this.sample.samples[0].inputs).filter(([name]) => this.model.modalities[name].kind !== "table");
      return { samples: [{ name: "simulated example", inputs: { ...Object.fromEntries(measured), ...tables } }] };
    }
    const form = new FormData();
    for (const file of this.files) form.append(file.modality || "files", file, file.name);
    for (const [name, values] of Object.entries(tables)) form.append(name, JSON.stringify(values));
    return form;
  }
}

function ambiguous(modalities) {
  const kinds = modalities.map(([, about]) => about.kind);
  return new Set(kinds).size < kinds.length;
}

function told(about) {
  if (about.kind !== "spectra") return `image (${TAKES.images})`;
  const low = Math.round(about.axis[0]);
  const high = Math.round(about.axis[about.axis.length - 1]);
  return `spectrum that covers ${low} to ${high} cm⁻¹ (${TAKES.spectra})`;
}

function read(column, text) {
  if (text === "") return null;
  return column.kind === "number" ? Number(text) : text;
}

function table(name, about) {
  return el("fieldset", {}, el("legend", {}, name), about.columns.map((column) => field(name, column)));
}

function field(modality, column) {
  const id = `${modality}/${column.name}`;
  const unit = column.unit ? el("span", { class: "unit" }, ` (${column.unit})`) : null;
  const label = el("label", { htmlFor: id }, column.name, unit);
  if (column.categories?.length) {
    const options = column.categories.map((category) => el("option", { value: category }, category));
    return el("div", { class: "field" }, label, el("select", { id }, el("option", { value: "" }, "not known"), options));
  }
  const known = column.low !== null && column.low !== undefined;
  const range = known ? `${column.low} to ${column.high} in training` : "leave empty if not known";
  const input = el("input", { id, type: column.kind === "number" ? "number" : "text", step: "any", autocomplete: "off", "aria-describedby": `${id}/hint` });
  if (known) Object.assign(input.dataset, { low: column.low, high: column.high });
  const hint = el("p", { class: "hint", id: `${id}/hint` }, range);
  hint.dataset.range = range;
  return el("div", { class: "field" }, label, input, hint);
}
