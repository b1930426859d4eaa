"""A study of spectra, images and a table, of which samples may lack some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from polydx.study import Images, RowIndex, Spectra, Study, Table, Task

Make = Callable[..., Study]
ALL = ("raman", "image", "clinical")
STEPS: dict[str, list[Any]] = {
    "raman": ["snv", "standardise"],
    "image": [{"colour_histogram": {"bins": 4}}],
    "clinical": ["impute", "one_hot", "standardise"],
}


def mixed(folder: Path, patients: int = 30, gaps: bool = True, seed: int = 0, effect: float = 1.0) -> Study:
    rng = np.random.default_rng(seed)
    codes = np.arange(patients) % 2
    there = {name: [i for i in range(patients) if not (gaps and i % 5 == at)] for at, name in enumerate(ALL)}
    owner = np.repeat(there["raman"], 2)
    axis = np.linspace(600.0, 1600.0, 30)
    values = rng.normal(10, 0.3, (len(owner), 30))
    values += effect * codes[owner, None] * np.exp(-(((axis - 1000) / 40) ** 2))
    paths = []
    for i in there["image"]:
        pixels = rng.normal(120 + 40 * effect * codes[i], 20, (6, 6, 3)).clip(0, 255).astype(np.uint8)
        paths.append(folder / f"{patients}-{gaps}-{seed}-{effect}-{i}.png")
        Image.fromarray(pixels).save(paths[-1])
    seen = np.array(there["clinical"])
    frame = pd.DataFrame(
        {
            "age": rng.normal(60, 10, len(seen)) + 10 * effect * codes[seen],
            "site": rng.choice(["arm", "leg"], len(seen)).astype(object),
        }
    )
    frame.loc[frame.index % 4 == 0, "age"] = np.nan
    ids = pd.Index([f"s{i:02d}" for i in range(patients)], name="sample", dtype=object)
    one = {n: RowIndex.from_lists([[v.index(i)] if i in v else [] for i in range(patients)]) for n, v in there.items()}
    bags = RowIndex.from_lists([np.flatnonzero(owner == i) for i in range(patients)])
    return Study(
        "mixed",
        pd.DataFrame({"patient": [f"p{i}" for i in range(patients)]}, index=ids),
        {
            "raman": Spectra(values.astype(np.float32), axis),
            "image": Images(tuple(paths)),
            "clinical": Table(frame),
        },
        one | {"raman": bags},
        {"disease": Task(("no", "yes"))},
        pd.DataFrame({"disease": codes}, index=ids),
    )


def lacking(study: Study, *names: str) -> Study:
    """The study without a row of these modalities."""
    empty = RowIndex.from_lists([[] for _ in range(len(study))])
    none = np.empty(0, np.int64)
    modalities = {n: m.take(none) if n in names else m for n, m in study.modalities.items()}
    return replace(study, modalities=modalities, rows={n: empty if n in names else r for n, r in study.rows.items()})
