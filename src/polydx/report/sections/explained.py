"""What the answers rest on: the explanations that lie in the run folder, if there are any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from polydx.errors import counted
from polydx.explain.assignments import LIMITS, SOURCES
from polydx.explain.store import Explanation, explanations
from polydx.report.blocks import Block, Cell, Heading, Notice, Section, Table, Text
from polydx.report.explained import draw, of_class
from polydx.report.figures.explained import MOST_PARTS
from polydx.report.sections.common import picture
from polydx.report.view import View
from polydx.report.words import DASH, listed, number

METHODS = {
    "occlusion": "Occlusion: what the log-odds lose where a window or patch shows nothing of its own.",
    "integrated_gradients": "Integrated gradients from the mean of the reference: they add up to the log-odds gained.",
    "grad_cam": "Grad-CAM: where the network finds what speaks for the class.",
    "shapley": "Shapley values of the columns: they add up to the log-odds over those of any patient.",
    "permutation": "What the surprise at the right answer grows by, and what of the AUROC is lost, when a column is "
    "another patient's.",
    "modalities": "Shapley values of the modalities: they add up to the log-odds over those of a patient unmeasured.",
}
LEGENDS = {
    "spectra": "Orange speaks for the class, blue against it; grey: ± SD over folds, where there are several.",
    "images": "Each image and its map: orange speaks for the class, blue against it; in brackets, its probability.",
    "shares": "Bars: mean size, 95 % interval by patient bootstrap; diamonds: mean, with its sign; ticks: patients, "
    "some of the outermost beyond the axis.",
}
HOW = (
    "Each patient is explained by the model that did not see them. A map says what this model rests on, right or "
    "wrong: it is no proof of a cause. Where folds disagree, so do the models, and the mean says little."
)


def rests_on(view: View) -> Section | None:
    """Return the section, None where nothing was explained."""
    found = explanations(view.run.folder)
    if not found:
        return None
    blocks: list[Block] = [Text(HOW)]
    for explanation in found:
        blocks += _blocks(view, explanation)
    return Section("explained", "What do the answers rest on?", blocks)


def _blocks(view: View, found: Explanation) -> list[Block]:
    about = found.about
    sample = f", sample {about['sample']}" if about.get("sample") else ""
    where = f" in {about['modality']}" if about["modality"] else ""
    blocks: list[Block] = [
        Heading(f"{about['task']}, by {about['recipe']}{where}{sample}"),
        Text(METHODS[about["method"]]),
    ]
    for entry in about["classes"]:
        blocks.append(_picture(view, found, entry))
        if not entry.get("sanity", {"passed": True})["passed"]:
            what = "the map is much like those of models that have learnt nothing: it does not show what was learnt"
            blocks.append(Notice("warning", f"{entry['class']}: {what}."))
        if "bands" in found.tables:
            blocks.append(_bands(about["task"], entry, of_class(found.tables["bands"], entry["class"])))
    return [*blocks, _aurocs(about, found.tables["auroc"])] if "auroc" in found.tables else blocks


def _aurocs(about: Mapping[str, Any], found: pd.DataFrame) -> Table:
    """Return by how much the AUROC of each class falls, a row a column, those of the largest fall first."""
    told = {str(entry["class"]): entry for entry in about["auroc"]}
    largest = found.groupby("part", sort=False)["drop"].max().sort_values(ascending=False, kind="stable")
    by_class = [of_class(found, name).set_index("part") for name in told]
    rows = [
        [part, *(_drop(float(own["drop"][part]), float(own["sd"][part])) for own in by_class)]
        for part in largest.index[:MOST_PARTS]
    ]
    head = [f"{name} (AUROC {number(entry['auroc'])})" for name, entry in told.items()]
    notes = [f"{name}: no AUROC, since {entry['reason']}." for name, entry in told.items() if entry["reason"]]
    entry = next(iter(told.values()))
    unit = counted(max(e["n"] for e in told.values()), str(entry["level"]))
    what = f"{about['task']}: AUROC of a class against the rest that is lost when the column is another patient's"
    caption = f"{what}; {unit}, ± SD over {about['repeats']} repeats."
    return Table(caption, ["column", *head], rows, notes)


def _drop(drop: float, spread: float) -> Cell:
    return Cell(DASH) if pd.isna(drop) else Cell(number(drop), f"± {number(spread)}")


def _picture(view: View, found: Explanation, entry: Mapping[str, Any]) -> Block:
    about, label = found.about, entry["class"]
    table = found.tables.get("maps", found.tables.get("shares"))
    own = None if table is None else of_class(table, label)
    return picture(
        view,
        f"explained-{about['method']}-{label}",
        lambda: draw(found, entry),
        _caption(about, entry),
        _alt(entry),
        own,
    )


def _caption(about: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    against = "" if entry["against"] == "none" else f" against {entry['against']}"
    agree = entry["correlation_of_folds"]
    folds = "" if agree is None else f"; mean correlation of two folds {number(agree, 2)}"
    check = entry.get("sanity")
    sane = (
        ""
        if check is None
        else f"; like maps of models that have learnt nothing: {number(check['similarity'], 2)} (1 = alike)"
    )
    beside = " Beside: AUROC lost, dots with ± SD over repeats." if "auroc" in about else ""
    return (
        f"{about['task']}, {entry['class']}{against}: {counted(entry['patients'], 'patient')},"
        f" {counted(entry['fits'], 'fit')}{folds}{sane}. {LEGENDS.get(about['kind'], LEGENDS['shares'])}{beside}"
    )


def _alt(entry: Mapping[str, Any]) -> str:
    if "bands" in entry:
        told = listed([f"{band['wavenumber']:.0f}" for band in entry["bands"]]) or "none"
        return f"Map over the mean spectrum of {entry['class']}; strongest near {told} cm^-1."
    parts = listed([str(part["part"]) for part in entry.get("parts", [])[:3]])
    if not parts:
        return f"Images of patients of {entry['class']}, and where on them speaks for it."
    return f"Bars of the shares for {entry['class']}; largest: {parts}."


def _bands(task: str, entry: Mapping[str, Any], found: pd.DataFrame) -> Table:
    rows = [
        [
            f"{row['wavenumber']:.0f}",
            _known(row["molecules"]),
            _known(row["assignment"]),
            _known(row["source"]),
            _signed(float(row["share"]), float(row["value"])),
            f"{100 * float(row['folds_agreeing']):.0f} %",
        ]
        for _, row in found.iterrows()
    ]
    sources = "; ".join(f"[{key}] {told}" for key, told in SOURCES.items())
    head = ["cm⁻¹", "may be", "vibration", "source", "of the strongest", "folds of this sign"]
    caption = f"{task}, {entry['class']}: the strongest bands of the map, and what bands there are ascribed to."
    return Table(caption, head, rows, [LIMITS, sources], numbers=4)


def _signed(share: float, value: float) -> str:
    return f"{'−' if value < 0 else '+'}{100 * share:.0f} %"


def _known(value: Any) -> str:
    return DASH if pd.isna(value) or not str(value) else str(value)
