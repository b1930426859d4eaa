"""The named studies, and how a study is found: by name in a data folder, or as a user's own YAML."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polydx.config import StudyConfig
from polydx.datasets.als_saliva import load_als_saliva
from polydx.datasets.b_all import load_b_all
from polydx.datasets.bacteria_id import load_bacteria_id
from polydx.datasets.breast_us import load_breast_us
from polydx.datasets.cache import cache_folder
from polydx.datasets.covid_saliva import load_covid_saliva
from polydx.datasets.lgg import load_lgg
from polydx.datasets.mouse_colon import load_mouse_colon
from polydx.datasets.own import load_own
from polydx.datasets.simulated import Instrument, simulate_cohort
from polydx.datasets.simulated_multimodal import simulate_multimodal
from polydx.errors import ConfigError, Problem, ReadError
from polydx.io.config_file import read_config
from polydx.params import check_params, closest
from polydx.study import Study


@dataclass(frozen=True)
class Archive:
    """A GitHub repository at one commit, which serves itself as a ZIP file.

    Attributes:
        repository: OWNER/NAME.
        commit: 40 hex digits; what it holds never changes, though the bytes of the ZIP file may.
        folder: where in it the study lies.
    """

    repository: str
    commit: str
    folder: str

    @property
    def url(self) -> str:
        """Where the archive is downloaded from."""
        return f"https://github.com/{self.repository}/archive/{self.commit}.zip"


@dataclass(frozen=True)
class Dataset:
    """A study with a name.

    Attributes:
        summary: one line for a list.
        load: folder -> Study; takes the options of the YAML as keywords.
        source: where a user gets it.
        terms: under which terms.
        layout: patterns of files that the study's folder must hold.
        archive: where it is downloaded from; None where that is the user's to do.
        local: False for a simulated study, which needs no folder.
        grouped: its patients are not known; the reader takes the `group` of the YAML.
    """

    summary: str
    load: Callable[..., Study]
    source: str
    terms: str = "none"
    layout: tuple[str, ...] = ()
    archive: Archive | None = None
    local: bool = True
    grouped: bool = False


UNLICENSED = "no licence is stated in the repository: for use, cite it; for redistribution, ask its authors"

ALS_SALIVA = Archive("nsgln/Deep-Learning-Raman-Spectroscopy", "fef78e7e7c913cdc2be35f6e29c6e4222152dc1f", "Raman_Data")
COVID_SALIVA = Archive("MIND-Lab/Raman-Spectra-Data", "a494323ea969f65d1bc6fdc73e1ae90815fb26aa", "covid_dataset")

DATASETS: dict[str, Dataset] = {
    "als-saliva": Dataset(
        "Raman of dried saliva, 20 patients with ALS and 10 controls, 591 spectra",
        load_als_saliva,
        f"GitHub {ALS_SALIVA.repository} at commit {ALS_SALIVA.commit}, folder {ALS_SALIVA.folder}",
        UNLICENSED,
        ("ALS/*.txt", "CTRL/*.txt", "Spectral Number SLA and CTRL.xlsx"),
        ALS_SALIVA,
    ),
    "covid-saliva": Dataset(
        "Raw Raman of saliva, 101 people (COV+, COV-, CTRL), 2,501 spectra",
        load_covid_saliva,
        f"GitHub {COVID_SALIVA.repository} at commit {COVID_SALIVA.commit}, folder {COVID_SALIVA.folder}",
        UNLICENSED,
        ("*/spectra.csv", "*/raman_shift.csv", "*/user_information.csv"),
        COVID_SALIVA,
    ),
    "mouse-colon": Dataset(
        "Raman of colon sections, 144 mice, 753 spectra; normal, hyperplasia, adenoma, carcinoma",
        load_mouse_colon,
        "GitHub Bocklitz-Lab/Example-Raman-spectral-analysis, file DATA_dp_wc_bc.RData, saved from R as spectra.csv: "
        "name, diagnosis (annotation1), diagnosis_fine (annotation2), tissue, mouse, location, then the wavenumbers",
        UNLICENSED,
        ("spectra.csv",),
    ),
    "b-all": Dataset(
        "Blood smears, 224 x 224, of benign cells and three subtypes of B-ALL; no patient ids",
        load_b_all,
        "GitHub mikeacquaviva/APS360-Leukaemia-Classification",
        UNLICENSED,
        ("Benign/*.jpg", "Early/*.jpg", "Pre/*.jpg", "Pro/*.jpg"),
        grouped=True,
    ),
    "breast-us": Dataset(
        "Breast ultrasound of 256 patients with clinical columns: benign or malignant",
        load_breast_us,
        "GitHub nbayt/CSC-752-Project: images, masks and the sheet of clinical data joined by manifest.csv",
        UNLICENSED,
        ("manifest.csv", "images/*.jpg"),
    ),
    "lgg": Dataset(
        "Brain MRI (three sequences) and a clinical table of 110 patients with glioma: grade, histology, vital status",
        load_lgg,
        "GitHub TruongVanHien194276/Brain_Segmentation_data; manifest.csv joins the sheet of patients with keyslices/: "
        "the three channels of each patient's slice with most tumour, as grey pictures",
        UNLICENSED,
        ("manifest.csv", "keyslices/*.png", "slices.csv", "slices/*.jpg"),
    ),
    "bacteria-id": Dataset(
        "Raman of 30 bacterial and yeast isolates (60,000 spectra), and of clinical isolates; for pretraining",
        load_bacteria_id,
        "the link in the README of GitHub csho33/bacteria-ID (Ho et al. 2019, Nature Communications 10:4927)",
        "those of the page behind the link; cite the article",
        ("wavenumbers.npy", "X_*.npy", "y_*.npy"),
    ),
    "simulated-tumour": Dataset(
        "SIMULATED tissue Raman of tumour patients: T stage (7), N stage (5), grade (5)",
        simulate_cohort,
        "drawn by polydx itself; nothing to fetch",
        local=False,
    ),
    "simulated-multimodal": Dataset(
        "SIMULATED Raman, picture and clinical table of patients with known truth: disease (2), grade (3)",
        simulate_multimodal,
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
    dataset = dataset_named(config.dataset)
    options = _checked_options(config.dataset, dataset, config.options)
    if config.group is not None:
        if not dataset.grouped:
            raise ConfigError(f"dataset '{config.dataset}' knows its patients; leave `group` out")
        options = {**options, "group": config.group}
    if not dataset.local:
        return dataset.load(**options)
    return dataset.load(find_folder(config.dataset, data), **options)


def dataset_named(name: str) -> Dataset:
    """Return the dataset of a name.

    Raises:
        ConfigError: there is none; a close name is suggested.
    """
    if name not in DATASETS:
        guess = closest(name, DATASETS)
        hint = f"did you mean '{guess}'?" if guess else f"known: {', '.join(DATASETS)}"
        raise ConfigError(f"no dataset '{name}'; {hint}")
    return DATASETS[name]


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
        f"dataset '{name}' is not there: `polydx data fetch {name}` brings it, or give --data DIR (or POLYDX_DATA), "
        f"where DIR holds a folder '{name}'",
        [*(Problem(str(root / name), "no such folder") for root in roots), Problem("source", DATASETS[name].source)],
    )


def _checked_options(name: str, dataset: Dataset, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options as the reader takes them.

    Raises:
        ConfigError: listing every one that it does not take.
    """
    given = {"folder": Path()} if dataset.local else {}
    where, options = f"study.options of '{name}'", dict(options)
    problems, instrument = [], options.get("instrument")
    if dataset.load is simulate_cohort and isinstance(instrument, dict):  # as a YAML writes it
        problems = check_params(Instrument, instrument, f"{where}.instrument")
        options["instrument"] = None if problems else Instrument(**instrument)
    hidden = ("group",) if dataset.grouped else ()
    problems += check_params(dataset.load, {**options, **given}, where, hidden)
    if problems:
        raise ConfigError(f"wrong options for dataset '{name}'", problems)
    return options
