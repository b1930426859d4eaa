"""Blood smears of B-cell acute lymphoblastic leukaemia: 224 x 224 JPEG, a folder a class, numbered.

Nothing says which images are one patient's; consecutive numbers tend to be, and some images are near duplicates. So a
random split flatters every figure, and `patient` here is a run of 20 consecutive numbers of a class unless `group` says
otherwise. A scale bar printed in the corner differs between the classes: mask it, or a model may learn it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from polydx.config import GroupConfig
from polydx.datasets.grouping import regroup
from polydx.datasets.propose_files import natural
from polydx.errors import Problem, ReadError
from polydx.study import UNLABELLED, Images, RowIndex, Study, Task

NAME = "b-all"
FOLDERS = {"Benign": None, "Early": "early pre-B", "Pre": "pre-B", "Pro": "pro-B"}
"""Folder -> subtype; None is benign."""
SUBTYPES = ("pre-B", "pro-B", "early pre-B")
RUNS = GroupConfig(by="sequence", size=20)


def load_b_all(folder: Path, *, group: GroupConfig | None = None) -> Study:
    """Return the study from the folder that holds Benign, Early, Pre and Pro.

    Args:
        folder: where the four folders lie.
        group: what stands in for patients; runs of 20 consecutive numbers if not given.

    Raises:
        ReadError: a folder is missing or holds no JPEG.
        StudyError: files that cannot be grouped.
    """
    files = {name: sorted((folder / name).glob("*.jpg"), key=natural) for name in FOLDERS}
    empty = [Problem(str(folder / name), "no folder with JPEG files") for name, found in files.items() if not found]
    if empty:
        raise ReadError(f"'{NAME}' needs the folders {', '.join(FOLDERS)}", empty)
    paths = [path for found in files.values() for path in found]
    subtype = [FOLDERS[path.parent.name] for path in paths]
    index = pd.Index([f"{path.parent.name}/{path.stem}" for path in paths], name="sample", dtype=object)
    study = Study(
        name=NAME,
        samples=pd.DataFrame({"patient": [f"{NAME}/{i}" for i in index]}, index=index).astype(object),
        modalities={"smear": Images(tuple(paths))},
        rows={"smear": RowIndex.one_each(len(paths))},
        tasks={
            "malignancy": Task(("benign", "malignant"), level="sample", positive="malignant"),
            "subtype": Task(SUBTYPES, level="sample", parent=("malignancy", "malignant")),
        },
        labels=pd.DataFrame(
            {
                "malignancy": [int(s is not None) for s in subtype],
                "subtype": [UNLABELLED if s is None else SUBTYPES.index(s) for s in subtype],
            },
            index=index,
            dtype="int64",
        ),
    )
    return regroup(study, group or RUNS)
