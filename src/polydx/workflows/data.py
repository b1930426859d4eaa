"""Data: a first study.yaml for a folder, and the named studies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polydx.errors import ConfigError


def init(folder: str | Path, *, force: bool = False) -> tuple[list[Path], tuple[str, ...]]:
    """Write a first study.yaml (and a samples table where one is needed) into a user's folder.

    Returns:
        The files written, study.yaml first, and what the user should know.

    Raises:
        ConfigError: there is a study.yaml already, and `force` is not given.
    """
    from polydx.datasets.propose import propose_study
    from polydx.io.atomic import replacing, write_text

    target = Path(folder) / "study.yaml"
    if target.exists() and not force:
        raise ConfigError(f"{target} is there already: edit it, or give --force to write a new one over it")
    proposal = propose_study(folder)
    written = [target]
    if proposal.samples is not None:
        written.append(Path(folder) / proposal.samples_file)
        with replacing(written[1]) as temporary:
            proposal.samples.to_csv(temporary, index=False)
    write_text(target, proposal.yaml)
    return written, proposal.notes


def list_datasets(data: str | Path | None = None) -> list[tuple[str, str, str]]:
    """Return name, summary and where it is (or how to get it) of every named study."""
    from polydx.datasets.catalogue import DATASETS, find_folder
    from polydx.errors import ReadError

    listed = []
    for name, dataset in DATASETS.items():
        try:
            where = str(find_folder(name, data)) if dataset.local else "built in"
        except ReadError:
            how = "downloads" if dataset.archive is not None else "says where to get it"
            where = f"not here: `polydx data fetch {name}` {how}"
        listed.append((name, dataset.summary, where))
    return listed


def fetch(
    name: str, *, from_dir: str | Path | None = None, data: str | Path | None = None, progress: Any = None
) -> Path:
    """Download a named study and verify it, or register a local copy; see `polydx.datasets.fetch.fetch`."""
    from polydx.datasets.fetch import fetch as bring

    return bring(name, from_dir=from_dir, data=data, progress=progress)
