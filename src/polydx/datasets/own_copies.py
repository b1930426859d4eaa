"""A copy of one modality in another's place, as a study declares it: such a row is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from polydx.errors import StudyError, counted
from polydx.io.copied import equal_entries, row_digests
from polydx.study import RowIndex, Study


def without_copies(study: Study, name: str, original: str) -> Study:
    """Return the study without the rows of a modality that equal a row of the same sample in another.

    Pixels are compared as decoded. A note says how many samples are left without the modality.

    Args:
        study: with both.
        name: where the copies stand.
        original: whose they are.

    Raises:
        ReadError: an image cannot be read.
        StudyError: every row is a copy.
    """
    index, other = study.rows[name], study.rows[original]
    digests = row_digests(study.modalities[name], np.unique(index.rows))
    others = row_digests(study.modalities[original], np.unique(other.rows))
    copied = equal_entries(
        index.sample_of_row,
        [digests[int(row)] for row in index.rows],
        other.sample_of_row,
        [others[int(row)] for row in other.rows],
    )
    if not copied.any():
        return study
    if copied.all():
        raise StudyError(f"every row of '{name}' is a copy of '{original}': leave the modality out")
    kept = [index[i][~copied[index.starts[i] : index.starts[i + 1]]] for i in range(len(study))]
    rows, needed = RowIndex.from_lists(kept).take(np.arange(len(study)))
    emptied = int(((rows.counts == 0) & (index.counts > 0)).sum())
    note = (
        f"'{name}': {counted(int(copied.sum()), 'row')} equal to '{original}' of the same sample taken away; "
        f"{counted(emptied, 'sample')} missing it now for that reason"
    )
    return replace(
        study,
        modalities={**study.modalities, name: study.modalities[name].take(needed)},
        rows={**study.rows, name: rows},
        notes=(*study.notes, note),
    )
