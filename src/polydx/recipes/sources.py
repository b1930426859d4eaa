"""Other studies that a recipe learns from: found in the data folder, read once a process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from polydx.config import StudyConfig
from polydx.study import Study


@dataclass(frozen=True)
class Sources:
    """Where other studies lie.

    Attributes:
        data: folder of the named studies; `POLYDX_DATA` or the user's cache if None.
        store: folder in which networks pretrained on other studies are kept and found again; None to keep them in
            memory alone.
    """

    data: Path | None = None
    store: Path | None = None

    def load(self, config: StudyConfig) -> Study:
        """Return a study, the same object for the same description.

        Raises:
            ConfigError, ReadError, StudyError: as reading it gives them.
        """
        return _load(config.model_dump_json(), self.data)


@lru_cache(maxsize=4)
def _load(described: str, data: Path | None) -> Study:
    from polydx.datasets.catalogue import build_study

    return build_study(StudyConfig.model_validate_json(described), Path(), data)
