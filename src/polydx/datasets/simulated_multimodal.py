"""A simulated cohort of three modalities with known truth: what a fusion of modalities can find, and must.

A patient has independent latent values. `spectral`, `visible` and `clinical` each move one modality and push towards
disease by themselves; `burden` moves all three, and pushes too. `carotenoid` and `core` are coins: the first moves a
band of the spectra, the second the core of the pictured lesion, and only whether they agree pushes towards disease, so
that neither modality alone tells anything of it. Measurements follow from the latent values, and so do the answers: no
measurement knows an answer.

Shapes: `P` patients, `S` spectra of a patient, `K` components, `L` points of the wavenumber axis, `H` side
of a picture.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from polydx.datasets.bands import COMPONENTS, component_spectra
from polydx.datasets.instrument import Instrument, cosmic_rays, detect, fluorescence
from polydx.datasets.lesions import draw_lesions, keep_pictures
from polydx.datasets.ranges import check_ranges
from polydx.datasets.tumour_also import with_holes
from polydx.errors import Problem
from polydx.params import unknown
from polydx.study import Images, Modality, RowIndex, Spectra, Study, Table, Task

FloatArray = NDArray[np.float64]

NAME = "simulated-multimodal"
MODALITIES = ("raman", "image", "clinical")
TASKS: Mapping[str, Task] = {
    "disease": Task(("control", "disease"), positive="disease"),
    "grade": Task(("low", "middle", "high"), ordinal=True),
}
ADDITIVE = {"disease": {"raman": 2.0, "image": 2.0, "clinical": 2.0}, "grade": {"raman": 1.6, "image": 1.6}}
SHARED = {"disease": 1.2, "grade": 0.0}
AGREEMENT = {"disease": 1.5, "grade": 0.0}
"""Log odds a standard deviation of a modality's own latent value, of the burden, and of whether the two coins agree."""

OWN = {"raman": "spectral", "image": "visible", "clinical": "clinical"}
COINS = {"raman": "carotenoid", "image": "core"}
SPECTRAL = {"nucleic_acid": 0.25, "tryptophan": 0.25, "collagen": -0.20}  # of log concentration, a unit of `spectral`
BURDEN = {"lipid": -0.25, "glycogen": 0.25}  # the same, of `burden`
CAROTENOID = 0.8  # of log concentration, for either side of the coin
PATIENT_SD, SPECTRUM_SD = 0.05, 0.05  # of log concentrations otherwise
FIRST, LAST = 400.0, 1800.0  # cm^-1
SYMPTOMS = {"none": 0.35, "mild": 0.30, "moderate": 0.20, "severe": 0.15}
SMOKING = {"never": 0.40, "former": 0.35, "current": 0.25}
ASPECTS = ("latent", "answers", "missing", "holes", "patients", "spectra", "gain", "background", "detector",
           "cosmic", "picture", "table")  # fmt: skip


def simulate_multimodal(
    patients: int = 360,
    seed: int = 0,
    *,
    effect: float = 1.0,
    spectra_per_patient: int = 3,
    points: int = 351,
    image_size: int = 32,
    missing: Mapping[str, float] | None = None,
    missing_cells: float = 0.1,
    name: str = NAME,
) -> Study:
    """Draw the study 'simulated-multimodal': spectra, a picture and a table of patients with or without a disease.

    The same arguments give the same bytes. Each aspect has its own random stream: a stronger effect changes answers
    only, and what is missing changes nothing that is there.

    Args:
        patients: P.
        seed: non-negative.
        effect: factor on the log odds; at 0 answers and measurements are independent.
        spectra_per_patient: S.
        points: L, evenly spaced over 400-1800 cm^-1.
        image_size: H, in pixels.
        missing: modality -> share of the patients who lack it, at random among those who have another left.
        missing_cells: share of the cells of each clinical column that are empty, at random.
        name: of the study, and in front of its patients' ids; no number depends on it.

    Returns:
        Study of P samples, one a patient (`unit: patient`): `raman` in counts, a bag of S spectra; `image`, one
        picture; `clinical`, a row of typed columns. Tasks `disease` (half of the patients) and `grade` (a third each).

    Raises:
        ConfigError: listing every argument out of its range; or the user's cache, where pictures lie, cannot be
            written.
    """
    missing = dict(missing or {})
    _check(patients, seed, effect, spectra_per_patient, points, image_size, missing, missing_cells, name)
    rng, latent = _streams(seed), draw_latents(patients, seed)
    index, absent = _people(name, patients), _absent(patients, missing, rng["missing"])
    pictures = draw_lesions(*_looks(latent), image_size, rng["picture"])
    drawn: dict[str, Modality] = {
        "raman": _spectra(latent, spectra_per_patient, points, rng),
        "image": Images(keep_pictures(pictures, name)),
        "clinical": Table(_table(latent, missing_cells, rng)),
    }
    each = {"raman": spectra_per_patient, "image": 1, "clinical": 1}
    owners = {modality: np.flatnonzero(~absent[modality]) for modality in drawn}
    return Study(
        name=name,
        samples=pd.DataFrame({"patient": index}, index=index),
        modalities={m: drawn[m].take(_bags(owners[m], each[m]).ravel()) for m in drawn},
        rows={m: _rows(absent[m], each[m]) for m in drawn},
        tasks=TASKS,
        labels=_answers(latent, effect, rng["answers"]).set_index(index),
        unit="patient",
        simulated=True,
        notes=(f"simulated with seed {seed} and effect {effect:g}: no patient ever had these measurements",),
    )


def draw_latents(patients: int, seed: int = 0) -> pd.DataFrame:
    """Return the latent values behind a cohort, one row a patient: the truth that no modality shows by itself.

    Args:
        patients: P.
        seed: of the cohort.

    Returns:
        (P,) standard normal `spectral`, `visible`, `burden` and `clinical`, the latter the scaled sum of `marker`,
        `symptoms` and `smoking`; and the fair coins `carotenoid` and `core`, 1 or -1. All others are independent.
    """
    rng = _streams(seed)["latent"]
    names = ("spectral", "visible", "marker", "symptoms", "smoking", "burden")
    found = pd.DataFrame(rng.standard_normal((patients, len(names))), columns=names)
    found.insert(2, "clinical", found[["marker", "symptoms", "smoking"]].sum(axis=1) / np.sqrt(3))
    coins = pd.DataFrame(rng.choice([-1.0, 1.0], (patients, 2)), columns=list(COINS.values()))
    return pd.concat([found, coins], axis=1)


def best_score(
    latent: pd.DataFrame, task: str, modalities: Collection[str] = MODALITIES, *, agreement: bool = True
) -> FloatArray:
    """Return the log odds that nothing which sees these modalities can improve on as a score, at an effect of 1.

    Args:
        latent: of `draw_latents`.
        task: `disease` or `grade`.
        modalities: which are seen; the coins count where both of their modalities are.
        agreement: False for the best that adds up what each modality tells.

    Returns:
        (P,) log odds, up to a constant; of `grade`, of the higher classes.
    """
    score = sum(ADDITIVE[task].get(m, 0.0) * latent[OWN[m]].to_numpy() for m in modalities)
    score = score + SHARED[task] * latent["burden"].to_numpy()
    if agreement and set(COINS) <= set(modalities):
        score = score + AGREEMENT[task] * latent[COINS["raman"]].to_numpy() * latent[COINS["image"]].to_numpy()
    return np.asarray(score)


def _check(
    patients: int,
    seed: int,
    effect: float,
    spectra: int,
    points: int,
    side: int,
    missing: Mapping[str, float],
    cells: float,
    name: str,
) -> None:
    """Refuse arguments out of range, all in one ConfigError."""
    wholes = [
        ("patients", patients, 6, 20_000),
        ("seed", seed, 0, 2**63),
        ("spectra_per_patient", spectra, 1, 1_000),
        ("points", points, 16, 10_000),
        ("image_size", side, 8, 512),
    ]
    reals = [("effect", effect, 0.0, 10.0), ("missing_cells", cells, 0.0, 1.0)]
    reals += [(f"missing.{modality}", share, 0.0, 1.0) for modality, share in missing.items()]
    check_ranges(NAME, name, wholes, reals, _lacking(missing))


def _lacking(missing: Mapping[str, float]) -> list[Problem]:
    """Return what is wrong with the modalities that patients shall lack, but for single shares."""
    found = [Problem("missing", unknown("modality", m, MODALITIES)) for m in missing if m not in MODALITIES]
    if found or not all(isinstance(share, int | float) for share in missing.values()):
        return found
    share = {modality: missing.get(modality, 0.0) for modality in MODALITIES}
    least = share["clinical"] + min(share["raman"], share["image"])
    what = f"clinical and the smaller of raman and image add up to {least:g}; beyond 1 somebody is left with nothing"
    return [Problem("missing", what)] if least > 1 else []


def _streams(seed: int) -> dict[str, np.random.Generator]:
    """Return one generator an aspect, independent of each other and of other cohorts with the same seed."""
    roots = np.random.SeedSequence([seed, *NAME.encode()]).spawn(len(ASPECTS))
    return {aspect: np.random.default_rng(root) for aspect, root in zip(ASPECTS, roots, strict=True)}


def _people(name: str, patients: int) -> pd.Index:
    digits = max(3, len(str(patients)))
    return pd.Index([f"{name}/P{i + 1:0{digits}d}" for i in range(patients)], name="sample", dtype=object)


def _absent(patients: int, missing: Mapping[str, float], rng: np.random.Generator) -> dict[str, NDArray[np.bool_]]:
    """Return (P,) a modality, True for those who lack it: the share asked for, of those who have another left."""
    absent = {modality: np.zeros(patients, dtype=bool) for modality in MODALITIES}
    for modality in MODALITIES:
        order = rng.permutation(patients)  # drawn whether used or not: a share changes its own modality alone
        last = np.sum(list(absent.values()), axis=0)[order] == len(MODALITIES) - 1
        absent[modality][order[np.argsort(last, kind="stable")][: round(missing.get(modality, 0) * patients)]] = True
    return absent


def _bags(owners: NDArray[np.int64], each: int) -> NDArray[np.int64]:
    """Return (len(owners), each) rows of patients who own `each` rows."""
    return np.asarray(owners[:, None] * each + np.arange(each))


def _rows(absent: NDArray[np.bool_], each: int) -> RowIndex:
    """Return the rows of each patient, once those of patients who lack the modality are gone."""
    counts = np.where(absent, 0, each)
    return RowIndex(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), np.arange(counts.sum()))


def _spectra(latent: pd.DataFrame, spectra: int, points: int, rng: Mapping[str, np.random.Generator]) -> Spectra:
    """Return P S spectra, those of a patient next to each other."""
    p, k, instrument = len(latent), len(COMPONENTS), Instrument()
    logs = PATIENT_SD * rng["patients"].standard_normal((p, 1, k))
    for component, response in SPECTRAL.items():
        logs[:, 0, list(COMPONENTS).index(component)] += response * latent["spectral"]
    for component, response in BURDEN.items():
        logs[:, 0, list(COMPONENTS).index(component)] += response * latent["burden"]
    logs[:, 0, list(COMPONENTS).index("carotenoid")] += CAROTENOID * latent["carotenoid"]
    logs = logs + SPECTRUM_SD * rng["spectra"].standard_normal((p, spectra, k))
    axis = np.linspace(FIRST, LAST, points)
    # einsum, not @: its sums do not depend on how many threads the linear algebra library has.
    ideal = np.einsum("psk,kl->psl", np.exp(logs), component_spectra(axis))
    gain = np.exp(instrument.gain_sd * rng["gain"].standard_normal((p, spectra, 1)))
    background = instrument.fluorescence * fluorescence(points, p, spectra, rng["background"])
    counts = detect(instrument.counts * gain * (ideal + background), instrument.read_noise, rng["detector"])
    counts += cosmic_rays(counts.shape, instrument.cosmic_rays, 2 * instrument.counts, rng["cosmic"])
    return Spectra(counts.reshape(-1, points).astype(np.float32), axis)


def _looks(latent: pd.DataFrame) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (P,) radius, core and speckle of the lesions."""
    radius = 0.5 * np.exp(0.2 * np.clip(latent["visible"].to_numpy(), -3, 3))
    return radius, latent["core"].to_numpy(), 0.06 * np.exp(0.7 * np.clip(latent["burden"].to_numpy(), -2, 2))


def _table(latent: pd.DataFrame, holes: float, rng: Mapping[str, np.random.Generator]) -> pd.DataFrame:
    """Return P rows of typed columns: two that mean nothing, and four that write down latent values."""
    p, draw = len(latent), rng["table"]
    columns = {
        "age": pd.Series(np.clip(np.round(draw.normal(62, 11, p)), 25, 90)),
        "sex": pd.Series(np.where(draw.random(p) < 0.5, "F", "M"), dtype=object),
        "antigen": pd.Series(np.exp(2.0 + 0.5 * latent["burden"].to_numpy() + 0.25 * draw.standard_normal(p))),
        "marker": pd.Series(np.exp(1.0 + 0.8 * latent["marker"].to_numpy())),
        "symptoms": pd.Series(_cut(latent["symptoms"], SYMPTOMS)),
        "smoking": pd.Series(_cut(latent["smoking"], SMOKING), dtype=object),
    }
    columns["symptoms"] = columns["symptoms"].astype(pd.CategoricalDtype(list(SYMPTOMS), ordered=True))
    return with_holes(columns, holes, rng["holes"])


def _cut(latent: pd.Series, shares: Mapping[str, float]) -> NDArray[np.object_]:
    """Return the names of the levels that standard normal values fall into, each with its share of them."""
    bounds = [NormalDist().inv_cdf(share) for share in np.cumsum(list(shares.values()))[:-1]]
    return np.array(list(shares), dtype=object)[np.searchsorted(bounds, latent.to_numpy())]


def _answers(latent: pd.DataFrame, effect: float, rng: np.random.Generator) -> pd.DataFrame:
    """Return the codes of each task: ranks of the log odds with logistic noise, so that classes have their sizes."""
    found = {}
    for name, task in TASKS.items():
        rank = np.argsort(np.argsort(effect * best_score(latent, name) + rng.logistic(size=len(latent))))
        found[name] = rank * len(task.classes) // len(latent)
    return pd.DataFrame(found).astype("int64")
