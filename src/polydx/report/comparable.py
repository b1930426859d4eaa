"""May runs be compared: what differs between them, and whether their recipes can be paired."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from polydx.report.view import View
from polydx.report.words import listed
from polydx.validation.run_folder import Run


def run_names(runs: Sequence[Run]) -> list[str]:
    """Return the folders' names, with as much of the path as tells them apart."""
    paths = [run.folder.resolve() for run in runs]
    for depth in range(1, max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{path.name} ({i + 1})" for i, path in enumerate(paths)]


def differences(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Return what keeps figures of these runs from being compared like with like, one sentence each."""
    facts: list[tuple[str, Callable[[Run], Any]]] = [
        ("studies", lambda run: run.study["name"]),
        ("patients", _patients),
        ("samples", lambda run: frozenset(run.predictions["sample"])),
        ("splits", lambda run: run.metrics.get("split")),
        ("folds", folds_of),
        ("seeds", lambda run: tuple(run.metrics.get("seeds", []))),
        ("tasks or classes", lambda run: {name: (task.classes, task.level) for name, task in run.tasks.items()}),
        ("versions of polydx", lambda run: run.environment.get("polydx")),
    ]
    found = []
    for what, fact in facts:
        first = fact(runs[0])
        other = [name for name, run in zip(names[1:], runs[1:], strict=True) if fact(run) != first]
        if other:
            verb = "has" if len(other) == 1 else "have"
            found.append(f"{listed(other)} {verb} other {what} than {names[0]}{_how(what, first, runs, names, fact)}.")
    if len({View(run).simulated for run in runs}) > 1:
        found.append("Some runs are of simulated patients and some of real ones.")
    return found


def _how(what: str, first: Any, runs: Sequence[Run], names: Sequence[str], fact: Callable[[Run], Any]) -> str:
    """Return the detail of a difference that a reader can use."""
    if what in ("patients", "samples"):
        # The same name in another study is another patient.
        same = [fact(run) & first if run.study["name"] == runs[0].study["name"] else frozenset() for run in runs[1:]]
        shared = [frozenset().union(*same), *same]  # of the first run: what any other has too
        counts = [
            f"{name} {len(fact(run))} ({len(both)} shared)" for name, run, both in zip(names, runs, shared, strict=True)
        ]
        return f": {listed(counts)}"
    if what in ("studies", "splits", "versions of polydx"):
        return f": {listed([str(fact(run)) for run in runs])}"
    return ""


def _patients(run: Run) -> frozenset[str]:
    return frozenset(run.predictions["patient"])


def folds_of(run: Run) -> frozenset[tuple[int, frozenset[str]]]:
    """Return, for each fold of each seed, which patients it tested, whatever its number."""
    tested = run.predictions.drop_duplicates(["seed", "fold", "patient"])
    return frozenset(
        (int(own["seed"].iloc[0]), frozenset(own["patient"])) for _, own in tested.groupby(["seed", "fold"])
    )


def why_not_paired(a: Run, b: Run, task: str) -> str:
    """Return why recipes of two runs cannot be compared on the same patients, or ''."""
    if task not in b.tasks or a.tasks.get(task) != b.tasks[task]:
        return f"they do not share the task '{task}' with the same classes"
    if _patients(a) != _patients(b):
        return "their patients are not the same"
    labels = [
        run.predictions[run.predictions["task"] == task]
        .drop_duplicates("sample")
        .set_index("sample")["label"]
        .fillna("")
        .sort_index()
        for run in (a, b)
    ]
    if not labels[0].equals(labels[1]):
        return "their samples or labels are not the same"
    if a.metrics.get("seeds") != b.metrics.get("seeds"):
        return "their seeds are not the same"
    shared = set(a.metrics["recipes"]) & set(b.metrics["recipes"])
    return "" if shared else "no recipe stands in both"
