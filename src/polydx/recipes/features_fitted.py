"""What the YAML calls `kind: features` after its fit: networks give features, a classical model answers from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from polydx.errors import ConfigError
from polydx.params import unknown
from polydx.recipes.inputs import check_present, has_any
from polydx.recipes.kinds import rebuild
from polydx.recipes.protocol import Fitted, Probabilities, State, remarks, tuned_state
from polydx.recipes.scaling import scaled
from polydx.recipes.task_fit import under
from polydx.study import FloatArray, Modality, RowIndex, Spectra, Study

Pool: TypeAlias = Literal["average", "flat"]
Rows: TypeAlias = tuple[Spectra, RowIndex]
Networks: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, NDArray[Any]]], Any]
"""What makes a network of its state."""


class Cutting(Protocol):
    """What the recipe asks of a network."""

    def features(self, study: Study, stage: str, pool: Pool = "flat") -> FloatArray:
        """Return (N, D) activations at a stage."""
        ...

    def state(self) -> State:
        """Return the network as data."""
        ...


@dataclass(frozen=True)
class FittedCut:
    """Where features are cut out of a fitted network.

    Attributes:
        network: gives the features.
        stage: where they are cut.
        pool: over the positions of the map, or none.
        modalities: of which a sample needs one to have these features.
    """

    network: Cutting
    stage: str
    pool: Pool
    modalities: tuple[str, ...]

    def rows(self, study: Study) -> Rows:
        """Return the features, one row for each sample that has them."""
        there = has_any(study, self.modalities)
        part = study if there.all() else study.take(np.flatnonzero(there))
        return as_rows(self.network.features(part, self.stage, self.pool), there)


@dataclass
class FittedFeatures:
    """A features recipe after `fit`.

    Attributes:
        cuts: name -> where features are cut; to the classical model each is a modality.
        columns: modalities that the classical model takes beside them, through steps of its own.
        classical: answers from all of them.
    """

    cuts: dict[str, FittedCut]
    columns: tuple[str, ...]
    classical: Fitted
    thresholds: Mapping[str, float] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def predict_proba(self, study: Study) -> Probabilities:
        """Return {task: (N, K)} probabilities, rows summing to 1.

        Raises:
            StudyError: a sample has none of the modalities.
        """
        return scaled(self.classical.predict_proba(self.on_features(study)), self.temperatures)

    def on_features(self, study: Study) -> Study:
        """Return the study as the classical model sees it."""
        needed = [m for cut in self.cuts.values() for m in cut.modalities]
        check_present(study, list(dict.fromkeys([*needed, *self.columns])))
        there = {name: cut for name, cut in self.cuts.items() if has_any(study, cut.modalities).any()}
        return on_features(study, {name: cut.rows(study) for name, cut in there.items()}, self.columns)

    def features(self, study: Study, stage: str) -> FloatArray:
        """Return (N, D) activations of the network, or of one of several: `<cut>:<stage>`.

        Raises:
            ConfigError: no such cut, or the network has no such stage.
        """
        if len(self.cuts) == 1:
            return next(iter(self.cuts.values())).network.features(study, stage)
        name, _, own = stage.partition(":")
        if name not in self.cuts:
            raise ConfigError(f"stage '{stage}': {unknown('cut', name, self.cuts)} (write `cut:stage`)")
        return self.cuts[name].network.features(study, own)

    def remarks(self, study: Study) -> list[str]:
        """Return what the classical model has to say of a study."""
        return remarks(self.classical, self.on_features(study))

    def state(self) -> State:
        """Return the fit as data."""
        classical, found = self.classical.state()
        arrays = {f"classical/{k}": v for k, v in found.items()}
        cuts = {}
        for name, cut in self.cuts.items():
            network, weights = cut.network.state()
            cuts[name] = {
                "stage": cut.stage, "pool": cut.pool, "modalities": list(cut.modalities), "network": network,
            }  # fmt: skip
            arrays |= {f"cuts/{name}/{k}": v for k, v in weights.items()}
        config = {
            "kind": "features", "cuts": cuts, "columns": list(self.columns), "classical": classical,
            **tuned_state(self),
        }  # fmt: skip
        return config, arrays

    @classmethod
    def from_state(
        cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], networks: Networks | None = None
    ) -> FittedFeatures:
        """Rebuild what `state` returned; `networks` makes each network, with torch if not given."""
        if networks is None:
            from polydx.recipes.network_fitted import FittedNetwork

            networks = FittedNetwork.from_state
        cuts = {}
        for name, part in config["cuts"].items():
            network = networks(part["network"], under(arrays, f"cuts/{name}/"))
            cuts[name] = FittedCut(network, part["stage"], part["pool"], tuple(part["modalities"]))
        classical = rebuild(config["classical"], under(arrays, "classical/"))
        return cls(cuts, tuple(config["columns"]), classical, config["thresholds"], config["temperatures"])


def as_rows(features: NDArray[Any], there: NDArray[np.bool_]) -> Rows:
    """Return (n, D) features as rows whose axis counts them, one for each of the n samples of (N,) that have any."""
    rows = Spectra(features.astype(np.float32), np.arange(features.shape[1], dtype=np.float64))
    return rows, RowIndex(np.concatenate([[0], np.cumsum(there)]).astype(np.int64), np.arange(len(features)))


def on_features(study: Study, cuts: Mapping[str, Rows], columns: tuple[str, ...] = ()) -> Study:
    """Return the study with features in place of its modalities, but for those that serve as they are."""
    modalities: dict[str, Modality] = {name: rows for name, (rows, _) in cuts.items()}
    modalities |= {name: study.modalities[name] for name in columns if name in study.modalities}
    index = {name: found for name, (_, found) in cuts.items()}
    index |= {name: study.rows[name] for name in columns if name in study.modalities}
    return replace(study, modalities=modalities, rows=index)
