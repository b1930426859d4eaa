"""The named studies, and how a study is found: by name in a data folder, or as a user's own YAML."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from polydx.config import StudyConfig
from polydx.datasets.als_saliva import load_als_saliva
from polydx.datasets.own import load_own
from polydx.datasets.simulated import simulate_cohort
from polydx.errors import ConfigError, Problem, ReadError
from polydx.io.config_file import read_config
from polydx.params import check_params, closest
from polydx.study import Study


@dataclass(frozen=True)
class Dataset:
    """A study with a name.

    Attributes:
        summary: one line for a list.
        load: folder -> Study; takes the options of the YAML as keywords.
        source: where a user gets it, under which terms.
        local: False for a simulated study, which needs no folder.
    """

    summary: str
    load: Callable[..., Study]
    source: str
    local: bool = True


def _simulated(**options: object) -> Study:
    return simulate_cohort(**options)  # type: ignore[arg-type]  # checked against its signature by `check_params`


DATASETS: dict[str, Dataset] = {
    "als-saliva": Dataset(
        "Raman of dried saliva, 20 patients with ALS and 10 controls, 591 spectra",
        load_als_saliva,
        "GitHub nsgln/Deep-Learning-Raman-Spectroscopy at commit fef78e7e7c913cdc2be35f6e29c6e4222152dc1f, "
        "folder Raman_Data (its folders ALS and CTRL and the spreadsheet)",
    ),
    "simulated-tumour": Dataset(
        "SIMULATED tissue Raman of tumour patients: T stage (7), N stage (5), grade (5)",
        _simulated,
        "drawn by polydx itself; nothing to fetch",
        local=False,
    ),
}


def load_study(name_or_yaml: str | Path, data: str | Path | None = None) -> Study:
    """Return a named study, or the study of a YAML file.

    Args:
        name_or_yaml: a name in `DATASETS`, or a path that ends in .yaml or .yml.
        data: folder that holds one folder a named study; else `POLYDX_DATA`, else the user's cache.

    Raises:
        ConfigError: no such name, or something wrong in the YAML.
        ReadError: the data is not where it was looked for; the message says where to get it.
        StudyError: what was read does not fit together.
    """
    path = Path(name_or_yaml)
    if path.suffix in (".yaml", ".yml"):
        return build_study(read_config(path).study, path.parent, data)
    return build_study(StudyConfig(dataset=str(name_or_yaml)), Path(), data)


def build_study(config: StudyConfig, base: Path, data: str | Path | None = None) -> Study:
    """Return the study that the `study:` section describes; relative paths start at `base`."""
    if config.dataset is None:
        return load_own(config, base)
    if config.dataset not in DATASETS:
        guess = closest(config.dataset, DATASETS)
        hint = f"did you mean '{guess}'?" if guess else f"known: {', '.join(DATASETS)}"
        raise ConfigError(f"no dataset '{config.dataset}'; {hint}")
    dataset = DATASETS[config.dataset]
    options = _checked_options(config.dataset, dataset, config.options)
    if not dataset.local:
        return dataset.load(**options)
    return dataset.load(find_folder(config.dataset, data), **options)


def find_folder(name: str, data: str | Path | None = None) -> Path:
    """Return the folder of a named study, looked for in `data`, `POLYDX_DATA` and the user's cache.

    Raises:
        ReadError: it is in none of them; the message says where a user gets it.
    """
    roots = [Path(data)] if data is not None else []
    if os.environ.get("POLYDX_DATA"):
        roots.append(Path(os.environ["POLYDX_DATA"]))
    roots.append(cache_folder())
    for root in roots:
        if (root / name).is_dir():
            return root / name
    raise ReadError(
        f"dataset '{name}' is not there: give --data DIR (or POLYDX_DATA), where DIR holds a folder '{name}'",
        [*(Problem(str(root / name), "no such folder") for root in roots), Problem("source", DATASETS[name].source)],
    )


def cache_folder() -> Path:
    """Return the user's cache of named studies."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "polydx"


def _checked_options(name: str, dataset: Dataset, options: dict[str, object]) -> dict[str, object]:
    target = dataset.load if dataset.local else simulate_cohort
    given = {"folder": Path()} if dataset.local else {}
    problems = check_params(target, {**options, **given}, f"study.options of '{name}'")
    if problems:
        raise ConfigError(f"wrong options for dataset '{name}'", problems)
    return options
