"""Features of a study as a table: what `polydx extract` writes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from polydx.config import InitConfig
from polydx.errors import ConfigError
from polydx.io.atomic import replacing
from polydx.recipes.initial import read_source
from polydx.recipes.network_fitted import FittedNetwork, Pool, needed
from polydx.study import Study


def load_network(
    path: Path, recipe: str | None = None, seed: int | None = None, fold: int | None = None
) -> FittedNetwork:
    """Return the fitted network of a model folder, a run folder or a weights file that polydx wrote.

    Args:
        path: the folder or file.
        recipe: of a run folder, whose weights; with `seed` and `fold`.
        seed: of a run folder.
        fold: of a run folder.

    Raises:
        ConfigError: published weights alone, which hold no preprocessing; or a run folder with several weights.
        ReadError, BundleError: nothing there, or something broken.
    """
    source = read_source(InitConfig(source=path, recipe=recipe, seed=seed, fold=fold))
    if source.fitted is None:
        raise ConfigError(
            f"{path} holds weights without preprocessing, axis and architecture: "
            "start a network recipe from them with `init: {from: ...}`, and cut the features of that"
        )
    return source.fitted


def extract(network: FittedNetwork, study: Study, stage: str, pool: Pool = "average") -> pd.DataFrame:
    """Return the features of every sample that has what the stage needs: one row a sample, joined by id.

    Args:
        network: fitted or pretrained.
        study: on the axis of the network's training spectra.
        stage: `<modality>.<stage>` or `embedding`.
        pool: mean over the positions of the map, or all side by side.

    Returns:
        `sample`, `patient`, a column a task with class names (empty where unlabelled), then `f0000`, `f0001` ...

    Raises:
        ConfigError: no such stage.
        AxisError: the study is on another axis.
        StudyError: no sample has any modality that the stage needs.
    """
    study = study.having(needed(stage, network.network.modalities))
    features = network.features(study, stage, pool)
    frame = pd.DataFrame({"sample": study.ids, "patient": study.patients})
    for name, task in study.tasks.items():
        frame[name] = [task.classes[code] if code >= 0 else None for code in study.label_codes(name)]
    width = max(4, len(str(features.shape[1] - 1)))
    names = [f"f{i:0{width}d}" for i in range(features.shape[1])]
    return pd.concat([frame, pd.DataFrame(features, columns=names)], axis=1)


def write_features(frame: pd.DataFrame, path: Path) -> None:
    """Write features as .parquet or .csv, whole or not at all.

    Raises:
        ConfigError: another ending.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise ConfigError(f"{path}: features are written as .parquet or .csv")
    with replacing(path) as temporary:
        if path.suffix == ".parquet":
            frame.to_parquet(temporary, index=False)
        else:
            frame.to_csv(temporary, index=False)
