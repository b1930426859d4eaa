"""Test samples from which modalities are taken, to see what a fitted recipe answers without them.

`without:image` takes one modality from all samples, `only:image` leaves one, `at-random:0.3` takes each modality of
each sample with that probability, but never the last one a sample has. Training rows stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from polydx.config import MissingConfig
from polydx.study import RowIndex, Study

Mask = NDArray[np.bool_]

WITHOUT, ONLY, AT_RANDOM = "without:", "only:", "at-random:"


def scenario_names(asked: MissingConfig, modalities: Sequence[str]) -> tuple[str, ...]:
    """Return the scenarios of a recipe; one of a single modality has none.

    Of two modalities, one alone is what is left without the other, and is not answered twice.
    """
    if len(modalities) < 2:
        return ()
    found = [f"{WITHOUT}{m}" for m in modalities if asked.without_each]
    told = asked.without_each and len(modalities) == 2
    found += [f"{ONLY}{m}" for m in modalities if asked.only_each and not told]
    found += [f"{AT_RANDOM}{asked.at_random:g}"] if asked.at_random is not None else []
    return tuple(found)


def robbed(study: Study, scenario: str, modalities: Sequence[str], seed: int, fold: int) -> Study | None:
    """Return the test samples as the scenario leaves them; None where none of them has anything left.

    Args:
        study: all test samples of the fold.
        scenario: one of `scenario_names`.
        modalities: those of the recipe.
        seed: of the repetition.
        fold: its number. Seed, fold and scenario alone decide what chance takes, so recipes of the same modalities
            meet the same gaps, whatever their order.
    """
    kind, _, which = scenario.partition(":")
    everywhere = np.ones(len(study), dtype=np.bool_)
    if kind == WITHOUT[:-1]:
        gone = {which: everywhere}
    elif kind == ONLY[:-1]:
        gone = {name: everywhere for name in modalities if name != which}
    else:
        gone = _at_random(study, scenario, float(which), modalities, seed, fold)
    left = lacking(study, gone)
    there = left.has_any(modalities)
    return left.take(np.flatnonzero(there)) if there.any() else None


def lacking(study: Study, gone: Mapping[str, Mask]) -> Study:
    """Return the study in which samples lack modalities that they had; rows that no sample has are not kept.

    Args:
        study: N samples.
        gone: modality -> (N,) True where its rows are taken away.
    """
    modalities, rows = dict(study.modalities), dict(study.rows)
    for name, away in gone.items():
        index = study.rows[name]
        kept = RowIndex.from_lists([index[i] if not away[i] else [] for i in range(len(study))])
        rows[name], needed = kept.take(np.arange(len(study)))
        modalities[name] = modalities[name].take(needed)
    return replace(study, modalities=modalities, rows=rows)


def _at_random(
    study: Study, scenario: str, share: float, modalities: Sequence[str], seed: int, fold: int
) -> dict[str, Mask]:
    """Return modality -> (N,) True where it is taken; the one with the largest draw stays where all would go."""
    names = sorted(study.modalities)
    draws = np.random.default_rng([seed, fold, crc32(scenario.encode())]).random((len(study), len(names)))
    there = np.column_stack([study.present(name) & (name in modalities) for name in names])
    taken = there & (draws < share)
    bare = there.any(axis=1) & (taken == there).all(axis=1)
    kept = np.where(there, draws, -1.0).argmax(axis=1)
    taken[bare, kept[bare]] = False
    return {name: taken[:, i] for i, name in enumerate(names) if name in modalities}
