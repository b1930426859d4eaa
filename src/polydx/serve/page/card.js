// The model card: the little Markdown it is written in, as elements (never as markup).

import { el } from "./dom.js";

const plain = (text) => text.replace(/\*\*|`/g, "");

export function card(markdown) {
  const found = [];
  let list = null;
  let table = null;
  for (const line of markdown.split("\n")) {
    const cells = /^\|(.*)\|\s*$/.exec(line)?.[1].split("|").map((cell) => plain(cell.trim()));
    if (!cells) table = null;
    if (!/^\s*[-*] /.test(line)) list = null;
    if (cells) {
      if (cells.every((cell) => /^:?-*:?$/.test(cell))) continue;
      if (!table) found.push(el("table", {}, (table = el("tbody"))));
      table.append(el("tr", {}, cells.map((cell) => el(table.rows.length ? "td" : "th", {}, cell))));
    } else if (/^#+ /.test(line)) found.push(el("h3", {}, plain(line.replace(/^#+ /, ""))));
    else if (/^\s*[-*] /.test(line)) {
      if (!list) found.push((list = el("ul")));
      list.append(el("li", {}, plain(line.replace(/^\s*[-*] /, ""))));
    } else if (line.trim()) {
      const last = found[found.length - 1];
      if (last?.tagName === "P" && !last.closed) last.append(` ${plain(line)}`);
      else found.push(el("p", {}, plain(line)));
    } else if (found.length) found[found.length - 1].closed = true;
  }
  return found;
}
