"""Print the figures of a finished run as Markdown, or write them into the pages that show them.

    python docs/results/table.py runs/als                     print both levels, the tests and the leakage gap
    python docs/results/table.py runs/als --level patient     print the table of patients and the tests
    python docs/results/table.py runs/lgg --scenarios         print what recipes of several modalities lose without some
    python docs/results/table.py --write README.md docs/results/*.md

A page shows a run between the lines `<!-- table: RUN -->` (or `<!-- table: RUN LEVEL -->`) and `<!-- end -->`, and what
its recipes lose without some modalities between `<!-- scenarios: RUN -->` (or `<!-- scenarios: RUN LEVEL -->`) and
`<!-- end -->`; what stands between them is replaced, from the metrics.json of that run alone.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from polydx.report.sections.compared import in_words
from polydx.report.sections.modalities import loss_in_words, named
from polydx.report.words import DASH, estimate, metric_name
from polydx.validation.missing import FIGURES

LEVELS = ("patient", "sample")
TWO_CLASS = ("auroc", "accuracy", "sensitivity", "specificity")
MULTI_CLASS = ("auroc", "accuracy", "balanced_accuracy", "specificity", "f1")
WITHIN = "mean_within_patient_accuracy"
BLOCK = re.compile(
    r"(<!-- (?P<what>table|scenarios): (?P<run>\S+)(?: (?P<level>\S+))? -->\n).*?(<!-- end -->)", re.DOTALL
)

Metrics = Mapping[str, Any]


def markdown(metrics: Metrics, level: str | None = None) -> str:
    """Return the figures of a run; of one level, the leakage gap is left out."""
    parts = [_heading(metrics)]
    for task in dict.fromkeys(t for found in metrics["recipes"].values() for t in found["tasks"]):
        parts += [_table(metrics, task, one) for one in ([level] if level else LEVELS)]
    parts += ["\n".join(f"- {_told(c)}" for c in metrics["comparisons"])]
    if level is None:
        parts += ["\n".join(_gaps(metrics))]
    return "\n\n".join(part for part in parts if part)


def scenarios(metrics: Metrics, level: str | None = None) -> str:
    """Return what recipes of several modalities answer without some of them, at the level that counts if none is given.

    A table a task, with the declared metric (of other tasks AUROC) and its paired difference from complete
    samples; then who loses less where modalities are missing at random.
    """
    parts = [_heading(metrics)]
    for task in dict.fromkeys(t for found in metrics["recipes"].values() for t in found["tasks"]):
        parts.append(_scenarios_of(metrics, task, level or _level_of(metrics, task)))
    parts.append("\n".join(f"- {loss_in_words(found)}" for found in metrics.get("scenario_losses", [])))
    return "\n\n".join(part for part in parts if part)


def _level_of(metrics: Metrics, task: str) -> str:
    scored = [found["tasks"][task] for found in metrics["recipes"].values() if task in found["tasks"]]
    return "patient" if any(own.get("patient") for own in scored) else "sample"


def _scenarios_of(metrics: Metrics, task: str, level: str) -> str:
    primary = metrics.get("primary") or {}
    metric = primary["metric"] if primary.get("task") == task and primary["metric"] in FIGURES else "auroc"
    rows = []
    for recipe, found in metrics["recipes"].items():
        own = found["tasks"].get(task, {})
        if not own.get("scenarios") or not own.get(level):
            continue
        rows.append([recipe, "complete", str(own[level]["n"]), estimate(own[level][metric]), ""])
        for name, levels in own["scenarios"].items():
            figures = levels.get(level)
            cells = [DASH] * 3 if figures is None else [
                str(figures["n"]), estimate(figures[metric]), estimate(figures["difference"][metric])
            ]  # fmt: skip
            rows.append([recipe, named(name), *cells])
    if not rows:
        return ""
    head = ["recipe", "test samples", f"{level}s", metric_name(metric), "difference"]
    told = "difference from the complete samples of the same patients"
    return f"**{task}, {level} level:** {told}.\n\n" + _rows([head, ["---"] * len(head), *rows])


def _told(comparison: Metrics) -> str:
    reason = comparison.get("reason") if comparison["p"] is not None else None  # else the sentence has it already
    return in_words(dict(comparison)) + (f" No interval: {reason}." if reason else "")


def _heading(metrics: Metrics) -> str:
    seeds = metrics["seeds"]
    repeated = f"; figures are means over {len(seeds)} seeds" if len(seeds) > 1 else ""
    spread = " ± standard deviation over seeds" if len(seeds) > 1 else ""
    simulated = "SIMULATED DATA. " if metrics["simulated"] else ""
    split = metrics.get("split_in_words", f"{metrics['split']}, {metrics['folds']} folds")
    return (
        f"{simulated}Study `{metrics['study']}`; {split}{repeated}; {metrics['resamples']} resamples of patients. "
        f"Estimate{spread} (95 % interval)."
    )


def _table(metrics: Metrics, task: str, level: str) -> str:
    recipes = {name: found["tasks"][task] for name, found in metrics["recipes"].items() if task in found["tasks"]}
    measured = {name: found for name, found in recipes.items() if found.get(level)}
    if not measured:
        reason = next(iter(recipes.values())).get(f"{level}_reason", "not computed")
        return f"**{task}, {level} level:** {reason}."
    first = next(iter(measured.values()))[level]
    shown = TWO_CLASS if len(first["classes"]) == 2 else MULTI_CLASS
    within = [WITHIN] if level == "sample" else []
    rows = [
        [name, *(estimate(found[level][m]) for m in shown), *(estimate(found[m]) for m in within)]
        for name, found in measured.items()
    ]
    head = ["recipe", *(metric_name(m, len(first["classes"])) for m in [*shown, *within])]
    return f"**{task}, {level} level:** {_units(first, level)}.\n\n" + _rows([head, ["---"] * len(head), *rows])


def _units(figures: Metrics, level: str) -> str:
    people = ", ".join(f"{count} {label}" for label, count in figures["classes"].items())
    samples = f"{figures['n']} samples of " if level == "sample" else ""
    also = (
        "; patients with several answers count for each"
        if sum(figures["classes"].values()) > figures["n_patients"]
        else ""
    )
    return f"{samples}{figures['n_patients']} patients ({people}{also})"


def _rows(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _gaps(metrics: Metrics) -> Iterator[str]:
    for task, gap in metrics["leakage_gap"].items():
        if gap.get("by_sample") is None:
            yield f"- Leakage gap of {task}: not measured, {gap.get('reason', 'not computed')}."
            continue
        yield (
            f"- Leakage gap of {task} ({gap['recipe']}, {gap['metric']} of {gap['level']}s): split by sample "
            f"{estimate(gap['by_sample'])}, by patient {estimate(gap['by_patient'])}; gap {estimate(gap['gap'])}."
        )


def read_metrics(run: str | Path) -> Metrics:
    """Return metrics.json of a run folder."""
    found: Metrics = json.loads((Path(run) / "metrics.json").read_text(encoding="utf-8"))
    return found


def rewritten(page: str, only: str | None = None) -> str:
    """Return a page with its tables made anew; `only` those of one run if given."""

    def new(found: re.Match[str]) -> str:
        if only is not None and found["run"] != only:
            return found[0]
        made = (scenarios if found["what"] == "scenarios" else markdown)(read_metrics(found["run"]), found["level"])
        return f"{found[1]}\n{made}\n\n{found[5]}"

    return BLOCK.sub(new, page)


def main() -> None:
    """Print, or write into pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", metavar="RUN", help="a finished run folder")
    parser.add_argument("--level", choices=LEVELS)
    parser.add_argument("--scenarios", action="store_true", help="what recipes lose without some modalities")
    parser.add_argument("--write", nargs="+", type=Path, metavar="PAGE", default=[])
    asked = parser.parse_args()
    if asked.run is None and not asked.write:
        parser.error("give a run folder, or pages to write")
    if not asked.write:
        print((scenarios if asked.scenarios else markdown)(read_metrics(asked.run), asked.level))
    for page in asked.write:
        page.write_text(rewritten(page.read_text(encoding="utf-8"), asked.run), encoding="utf-8")


if __name__ == "__main__":
    main()
