// Measurements with the explanation drawn over them.

import { el, svg } from "./dom.js";

const HEIGHT = 250;
const FAINTEST = 0.05; // of the log-odds: below it, nothing stands out
const EDGE = { left: 52, right: 20, top: 10, bottom: 38 };

export function figure(name, view, part) {
  if (view.kind === "spectra") return spectrum(name, view, part?.bands);
  if (view.kind === "images") return image(name, view, part?.grid);
  return columns(name, view, part?.columns);
}

export const legend = (label) => el("ul", { class: "legend" },
  el("li", {}, el("i", { class: "for" }), `speaks for ${label}`),
  el("li", {}, el("i", { class: "against" }), `speaks against ${label}`));

function ticks(low, high, most) {
  const rough = (high - low) / most;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * size).find((s) => s >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(at);
  return found;
}

const short = (value) => (Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3) ? value.toExponential(1) : String(Number(value.toPrecision(4))));

function spectrum(name, view, bands) {
  const holder = el("figure", { class: "wide" });
  const draw = () => holder.replaceChildren(plot(name, view, bands, Math.max(280, holder.clientWidth || 640)),
    el("figcaption", {}, `${name}: ${view.values.length > 1 ? `the first ${view.values.length} spectra` : "the spectrum"} as measured${bands ? "; strips show the windows the answer rests on" : ""}.`));
  draw();
  new ResizeObserver(() => { if (holder.clientWidth && holder.clientWidth !== holder.drawn) { holder.drawn = holder.clientWidth; draw(); } }).observe(holder);
  return holder;
}

function plot(name, view, bands, width) {
  const low = view.axis[0];
  const high = view.axis[view.axis.length - 1];
  const all = view.values.flat();
  const bottom = Math.min(...all);
  const top = Math.max(...all) === bottom ? bottom + 1 : Math.max(...all);
  const x = (value) => EDGE.left + ((value - low) / (high - low)) * (width - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - 4 - ((value - bottom) / (top - bottom)) * (HEIGHT - EDGE.top - EDGE.bottom - 8);
  const base = HEIGHT - EDGE.bottom;
  const most = Math.max(FAINTEST, ...(bands ?? []).map((band) => Math.abs(band.importance)));
  const strips = (bands ?? []).map((band) => svg("rect", {
    class: band.importance > 0 ? "for" : "against", x: x(band.low), width: Math.max(1, x(band.high) - x(band.low)),
    y: EDGE.top, height: base - EDGE.top, "fill-opacity": (0.6 * Math.abs(band.importance) / most).toFixed(3),
  }, svg("title", {}, `${Math.round(band.low)} to ${Math.round(band.high)} cm⁻¹: ${band.importance.toFixed(2)}`)));
  const line = (row, i) => svg("path", { class: i ? "curve more" : "curve",
    d: row.map((value, j) => `${j ? "L" : "M"}${x(view.axis[j]).toFixed(1)} ${y(value).toFixed(1)}`).join("") });
  return svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": told(name, low, high, bands) },
    strips,
    ticks(low, high, width / 90).map((at) => [svg("line", { class: "axis-line", x1: x(at), x2: x(at), y1: base, y2: base + 4 }),
      svg("text", { x: x(at), y: base + 17, "text-anchor": "middle" }, short(at))]),
    ticks(bottom, top, 4).map((at) => [svg("line", { class: "grid-line", x1: EDGE.left, x2: width - EDGE.right, y1: y(at), y2: y(at) }),
      svg("text", { x: EDGE.left - 6, y: y(at) + 4, "text-anchor": "end" }, short(at))]),
    svg("line", { class: "axis-line", x1: EDGE.left, x2: width - EDGE.right, y1: base, y2: base }),
    view.values.map(line).reverse(),
    svg("text", { x: (EDGE.left + width - EDGE.right) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, "Raman shift (cm⁻¹)"));
}

function told(name, low, high, bands) {
  const where = `${name}: spectrum from ${Math.round(low)} to ${Math.round(high)} per centimetre`;
  if (!bands?.length) return where;
  const first = [...bands].sort((a, b) => Math.abs(b.importance) - Math.abs(a.importance)).slice(0, 3);
  return `${where}; the answer rests most on ${first.map((b) => `${Math.round(b.low)} to ${Math.round(b.high)} (${b.importance > 0 ? "for" : "against"})`).join(", ")}`;
}

function image(name, view, grid) {
  const most = Math.max(FAINTEST, ...(grid ?? []).flat().map(Math.abs));
  const patches = (grid ?? []).flatMap((row, i) => row.map((value, j) => svg("rect", {
    class: value > 0 ? "for" : "against", x: j, y: i, width: 1.02, height: 1.02, "fill-opacity": (0.62 * Math.abs(value) / most).toFixed(3),
  }, svg("title", {}, value.toFixed(2)))));
  const cover = grid && svg("svg", { viewBox: `0 0 ${grid[0].length} ${grid.length}`, preserveAspectRatio: "none", "aria-hidden": "true" }, patches);
  const box = el("div", { class: "picture" }, el("img", { src: view.image, alt: `${name}, ${view.width} by ${view.height} pixels` }), cover);
  const id = `cover-${name}`;
  const toggle = grid && el("div", { class: "check" },
    el("input", { type: "checkbox", id, checked: true, onchange: (e) => cover.toggleAttribute("hidden", !e.target.checked) }),
    el("label", { htmlFor: id }, "Show the explanation"));
  return el("figure", {}, box, toggle, el("figcaption", {}, `${name}: ${view.width} × ${view.height} pixels${grid ? "; patches show what the answer rests on" : ""}.`));
}

function columns(name, view, importance) {
  const most = Math.max(FAINTEST, ...Object.values(importance ?? {}).map(Math.abs));
  const rows = Object.entries(view.columns).map(([column, value]) => {
    const found = importance?.[column] ?? 0;
    const strip = el("div", { class: found > 0 ? "for" : "against", title: found.toFixed(2) });
    strip.style.width = `${(100 * Math.abs(found)) / most}%`;
    return el("tr", {}, el("th", { scope: "row" }, column), el("td", {}, value === null ? "not known" : String(value)),
      el("td", { class: "side", "aria-label": importance ? `importance ${found.toFixed(2)}` : null }, importance && strip));
  });
  return el("figure", {}, el("table", { class: "parts" }, el("tbody", {}, rows)), el("figcaption", {}, `${name}${importance ? ": bars show what the answer rests on" : ""}.`));
}
