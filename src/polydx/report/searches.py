"""What searches chose, read from the notes of the fits: fits of one recipe that chose alike are counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from polydx.errors import counted
from polydx.recipes.search import SEARCHED

NOTE = re.compile(
    rf"(?P<recipe>.+?), seed \d+, fold \d+: (?P<member>(?:\S+: )*){SEARCHED}(?P<tried>\d+) settings on inner patients: "
    r"(?P<chosen>.*?)(?: \([^()]*\))?"
)
MOST = 3


def is_search(note: str) -> bool:
    """Tell whether a note of a run is a search's."""
    return NOTE.fullmatch(note) is not None


def searched(notes: Iterable[str]) -> list[str]:
    """Return a sentence a recipe: how many settings were tried, and which were chosen how often."""
    chosen: dict[tuple[str, str], Counter[str]] = {}
    for note in notes:
        if found := NOTE.fullmatch(note):
            whose = found["recipe"] + "".join(f", {name}" for name in found["member"].split(": ") if name)
            chosen.setdefault((whose, found["tried"]), Counter())[found["chosen"]] += 1
    return [f"{whose}: {tried} settings tried inside the training part of each fold; {_often(own)}."
            for (whose, tried), own in chosen.items()]  # fmt: skip


def _often(chosen: Counter[str]) -> str:
    told = [f"{what} in {counted(often, 'fit')}" for what, often in chosen.most_common(MOST)]
    rest = len(chosen) - MOST
    return "; ".join(told) + (f"; {counted(rest, 'other setting')} in the rest" if rest > 0 else "")
