"""Simulated cohorts: Raman spectra of tumour tissue with known truth, for the demo, for tests and for teaching.

A patient has classes (correlated among tasks), the classes move the concentrations of some biochemical components,
every patient and every spectrum deviates from that by chance, and an instrument adds background, noise, cosmic rays.

Shapes: `P` patients, `S` spectra of a patient, `N = P S` samples, `K` components, `L` points of the wavenumber axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.datasets.bands import COMPONENTS, RESPONSES, component_spectra, informative_bands
from polydx.datasets.instrument import LIMITS, Instrument, cosmic_rays, detect, fluorescence
from polydx.datasets.lesions import keep_pictures
from polydx.datasets.people import FEWEST, draw_classes, draw_people, hide
from polydx.datasets.ranges import check_ranges
from polydx.datasets.tumour_also import Also, tumour_pictures, tumour_table
from polydx.errors import Problem
from polydx.params import unknown
from polydx.study import Images, Modality, RowIndex, Spectra, Study, Table, Task

__all__ = ["Instrument", "informative_bands", "simulate_cohort", "simulate_two_class"]

FloatArray = NDArray[np.float64]

FIRST, LAST = 400.0, 1800.0  # cm^-1, the fingerprint region
SPECTRUM_SD = 0.1  # of log concentrations, between spectra of one patient
ASPECTS = (
    "labels",
    "missing",
    "people",
    "patients",
    "spectra",
    "gain",
    "centres",
    "background",
    "detector",
    "cosmic",
    "picture",
    "table",
)


@dataclass(frozen=True)
class _Question:
    """A task and the share of patients each of its classes has, beyond the few that every class is given."""

    task: Task
    shares: tuple[float, ...]


TUMOUR: Mapping[str, _Question] = {
    "t_stage": _Question(
        Task(("T0", "Tis", "T1", "T2", "T3", "T4a", "T4b"), ordinal=True),
        (0.08, 0.07, 0.20, 0.27, 0.18, 0.12, 0.08),
    ),
    "n_stage": _Question(Task(("N0", "N1", "N2a", "N2b", "N3"), ordinal=True), (0.40, 0.22, 0.14, 0.14, 0.10)),
    "grade": _Question(Task(("normal", "G1", "G2", "G3", "G4"), ordinal=True), (0.10, 0.20, 0.35, 0.25, 0.10)),
}
TWO_CLASS: Mapping[str, _Question] = {
    "disease": _Question(Task(("control", "disease"), positive="disease"), (0.5, 0.5)),
}


def simulate_cohort(
    patients: int = 60,
    spectra_per_patient: int = 8,
    seed: int = 0,
    *,
    points: int = 701,
    missing_labels: float = 0.1,
    effect: float = 1.0,
    patient_sd: float = 0.15,
    centres: int = 3,
    instrument: Instrument | None = None,
    name: str = "simulated-tumour",
    also: Sequence[Also] = (),
) -> Study:
    """Draw the study 'simulated-tumour': T stage, N stage and grade of patients, each with several Raman spectra.

    The same arguments give the same bytes. Each aspect has its own random stream, so that more spectra a patient, or a
    stronger effect, leave patients and labels as they are.

    Args:
        patients: P, at least 21 (three for each of seven T stages).
        spectra_per_patient: S.
        seed: non-negative.
        points: L, evenly spaced over 400-1800 cm^-1.
        missing_labels: share of patients without a label, for each task on its own. Classes keep three labelled
            patients for as long as others can be spared.
        effect: how far the classes move concentrations, as a factor on `bands.RESPONSES`; at 0 spectra and labels are
            independent, and every honest figure is at chance.
        patient_sd: standard deviation of log concentrations between patients of the same classes.
        centres: number of centres, each with an axis error of its own.
        instrument: background and noise; the default `Instrument()` if not given.
        name: of the study, and in front of its patients' ids; no number depends on it. Where two cohorts meet, as in
            pretraining, each needs its own, for two patients of one id are taken for one person.
        also: of `image`, a picture of the lesion, and `clinical`, a row of values; one a patient, for all of the
            patient's samples. No other number depends on it.

    Returns:
        Study of N = P S samples, modality `raman` in counts and those of `also`, patient-level ordinal tasks `t_stage`
        (7 classes), `n_stage` (5) and `grade` (5); samples carry `centre`, `age` and `sex`, which are independent of
        all labels.

    Raises:
        ConfigError: listing every argument out of its range; or the user's cache, where pictures lie, cannot be
            written.
    """
    design = _Design(
        "simulated-tumour", name, TUMOUR, patients, spectra_per_patient, seed, points, missing_labels, also
    )
    return _simulate(design, effect, patient_sd, centres, instrument or Instrument())


def simulate_two_class(
    patients: int = 30,
    spectra_per_patient: int = 8,
    seed: int = 0,
    *,
    points: int = 701,
    effect: float = 1.0,
    patient_sd: float = 0.15,
    centres: int = 1,
    instrument: Instrument | None = None,
) -> Study:
    """Draw the study 'simulated-two-class': patient-level task `disease` (control, disease), half of the patients each.

    Arguments and guarantees are those of `simulate_cohort`, but for `name`; at least 6 patients, and every patient is
    labelled.

    Raises:
        ConfigError: listing every argument out of its range.
    """
    kind = "simulated-two-class"
    design = _Design(kind, kind, TWO_CLASS, patients, spectra_per_patient, seed, points, 0.0)
    return _simulate(design, effect, patient_sd, centres, instrument or Instrument())


@dataclass(frozen=True)
class _Design:
    """The sizes of a cohort, and what is asked about its patients.

    Attributes:
        kind: which cohort it is; part of every random stream.
        name: what the study is called.
    """

    kind: str
    name: str
    questions: Mapping[str, _Question]
    patients: int
    spectra: int
    seed: int
    points: int
    missing: float
    also: Sequence[Also] = ()

    def streams(self) -> dict[str, np.random.Generator]:
        """Return one generator an aspect, independent of each other and of other cohorts with the same seed."""
        roots = np.random.SeedSequence([self.seed, *self.kind.encode()]).spawn(len(ASPECTS))
        return {aspect: np.random.default_rng(root) for aspect, root in zip(ASPECTS, roots, strict=True)}


def _simulate(design: _Design, effect: float, patient_sd: float, centres: int, instrument: Instrument) -> Study:
    _check(design, effect, patient_sd, centres, instrument)
    rng = design.streams()
    shares = {name: question.shares for name, question in design.questions.items()}
    classes = draw_classes(design.patients, shares, rng["labels"])
    labels = {name: hide(codes, design.missing, rng["missing"]) for name, codes in classes.items()}
    people = draw_people(design.name, design.patients, centres, rng["people"])
    axis = np.linspace(FIRST, LAST, design.points)
    logs = _log_concentrations(design, classes, effect, patient_sd, rng)
    ideal = _tissue(axis, logs, people["centre"].to_numpy(), instrument.axis_error, rng["centres"])
    values = _measure(ideal, instrument, rng)
    samples = _samples(people, design.spectra)
    n = len(samples)
    spectra = Spectra(values.reshape(n, -1).astype(np.float32), axis)
    of_patient = RowIndex(np.arange(n + 1), np.arange(design.patients).repeat(design.spectra))
    return Study(
        name=design.name,
        samples=samples,
        modalities={"raman": spectra, **_further(design, classes, people, effect, rng)},
        rows={"raman": RowIndex.one_each(n), **dict.fromkeys(design.also, of_patient)},
        tasks={name: question.task for name, question in design.questions.items()},
        labels=pd.DataFrame({k: v.repeat(design.spectra) for k, v in labels.items()}, index=samples.index),
        simulated=True,
        notes=(f"simulated with seed {design.seed} and effect {effect:g}: no patient ever had these spectra",),
    )


def _further(
    design: _Design,
    classes: Mapping[str, NDArray[np.int64]],
    people: pd.DataFrame,
    effect: float,
    rng: Mapping[str, np.random.Generator],
) -> dict[str, Modality]:
    """Return what the patients have beside spectra, one row a patient."""
    found: dict[str, Modality] = {}
    for name in design.also:
        if name == "image":
            found[name] = Images(keep_pictures(tumour_pictures(classes, effect, rng["picture"]), design.name))
        else:
            found[name] = Table(tumour_table(classes, people, effect, rng["table"]))
    return found


def _samples(people: pd.DataFrame, spectra: int) -> pd.DataFrame:
    """Return a row a spectrum, indexed by sample, from the rows of the patients."""
    repeated = people.loc[people.index.repeat(spectra)]
    digits = max(2, len(str(spectra)))
    ids = [f"{patient}/s{i + 1:0{digits}d}" for patient in people["patient"] for i in range(spectra)]
    return repeated.set_index(pd.Index(ids, name="sample", dtype=object))


def _log_concentrations(
    design: _Design,
    classes: Mapping[str, NDArray[np.int64]],
    effect: float,
    patient_sd: float,
    rng: Mapping[str, np.random.Generator],
) -> FloatArray:
    """Return (P, S, K) log concentrations: classes, a patient's random intercept, and a spectrum's deviation."""
    k = len(COMPONENTS)
    logs = patient_sd * rng["patients"].standard_normal((design.patients, 1, k))
    for task, codes in classes.items():
        for component, response in RESPONSES[task].items():
            logs[:, 0, list(COMPONENTS).index(component)] += effect * np.array(response)[codes]
    return np.asarray(logs + SPECTRUM_SD * rng["spectra"].standard_normal((design.patients, design.spectra, k)))


def _tissue(
    axis: FloatArray, logs: FloatArray, centre: NDArray[np.object_], axis_error: float, rng: np.random.Generator
) -> FloatArray:
    """Return (P, S, L) ideal spectra, each as its centre's instrument places the bands on the common axis."""
    ideal = np.empty((*logs.shape[:2], len(axis)))
    for name in np.unique(centre):
        own = centre == name
        spectra = component_spectra(axis, rng.uniform(-axis_error, axis_error))
        # einsum, not @: its sums do not depend on how many threads the linear algebra library has.
        ideal[own] = np.einsum("psk,kl->psl", np.exp(logs[own]), spectra)
    return ideal


def _measure(ideal: FloatArray, instrument: Instrument, rng: Mapping[str, np.random.Generator]) -> FloatArray:
    """Return (P, S, L) counts of the ideal spectra."""
    patients, spectra, points = ideal.shape
    gain = np.exp(instrument.gain_sd * rng["gain"].standard_normal((patients, spectra, 1)))
    background = instrument.fluorescence * fluorescence(points, patients, spectra, rng["background"])
    counts = detect(instrument.counts * gain * (ideal + background), instrument.read_noise, rng["detector"])
    return counts + cosmic_rays(ideal.shape, instrument.cosmic_rays, 2 * instrument.counts, rng["cosmic"])


def _check(design: _Design, effect: float, patient_sd: float, centres: int, instrument: Instrument) -> None:
    """Refuse arguments out of range, all in one ConfigError."""
    fewest = FEWEST * max(len(question.shares) for question in design.questions.values())
    wholes = [
        ("patients", design.patients, fewest, 100_000),
        ("spectra_per_patient", design.spectra, 1, 10_000),
        ("seed", design.seed, 0, 2**63),
        ("points", design.points, 16, 100_000),
        ("centres", centres, 1, 26),
    ]
    reals = [
        ("missing_labels", design.missing, 0.0, 1.0),
        ("effect", effect, 0.0, 10.0),
        ("patient_sd", patient_sd, 0.0, 2.0),
        *((f"instrument.{name}", getattr(instrument, name), *limits) for name, limits in LIMITS.items()),
    ]
    known = get_args(Also)
    also = [Problem("also", unknown("modality", str(name), known)) for name in design.also if name not in known]
    check_ranges(design.kind, design.name, wholes, reals, also)
