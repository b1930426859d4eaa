"""Patients that the weights a recipe starts from have seen."""

from __future__ import annotations

from collections.abc import Mapping, Set

from polydx.errors import counted
from polydx.recipes.protocol import Recipe
from polydx.recipes.provenance import Seen, seen, seen_in
from polydx.study import Study
from polydx.validation.checks.findings import MOST_LISTED, Finding, listed


def pretraining(tested: Study, recipes: Mapping[str, Recipe]) -> list[Finding]:
    """Find test patients, and copies of their measurements, in what the weights of a recipe have seen.

    Args:
        tested: the samples that will be predicted.
        recipes: name -> recipe.
    """
    known = {name: found for name, recipe in recipes.items() if (found := seen(recipe)) != Seen()}
    if not known:
        return []
    own = seen_in(tested)
    return [finding for name, found in known.items() for finding in _of_recipe(name, found, own, tested)]


def _of_recipe(name: str, known: Seen, own: Seen, tested: Study) -> list[Finding]:
    where, found = f"recipe '{name}'", []
    shared, copies = known.shared_with(own)
    patients = sorted(shared)
    if patients or copies:
        people = patients or _owners(tested, copies)
        how = "" if patients else " under another name, by the content of their measurements"
        message = (
            f"its weights have seen {counted(len(people), 'patient')} that would be tested{how} ({listed(people)}): "
            "pretrain on other patients, or leave these out of one of the two"
        )
        details = {"patients": people[:MOST_LISTED], "count": len(people), "copies": len(copies)}
        found.append(Finding("error", "pretraining", where, message, details))
    found += [
        Finding(
            "note", "pretraining", where, f"{path} does not say whom it has seen; nobody can tell whether test patients"
        )
        for path in known.unknown
    ]
    return found


def _owners(study: Study, hashes: Set[str]) -> list[str]:
    """Return the patients whose measurements have these hashes."""
    found = set()
    for name, rows in study.content_hashes().items():
        index = study.rows[name]
        owner = study.patients[index.sample_of_row]
        found |= {str(p) for p, row in zip(owner, index.rows, strict=True) if rows[row] in hashes}
    return sorted(found)
