"""The figures of a run that a bundle states: those of the same recipe, on patients its fits did not see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polydx.config import Config
from polydx.errors import ConfigError, PolydxError
from polydx.validation.run_folder import read_run


def figures_for(run: str | Path | None, config: Config, study: str, recipe: str) -> dict[str, Any]:
    """Return the figures of a recipe, or why there are none.

    Args:
        run: a run folder; `runs/<study>` if not given, which may be absent or of another recipe.
        config: resolved, of the study that is trained on.
        study: its name.
        recipe: the recipe that is trained.

    Raises:
        ConfigError: the run that was asked for is none of this study with this recipe.
    """
    folder = Path("runs") / study if run is None else Path(run)
    if run is None and not folder.is_dir():
        return {"absent": f"there is no run of it; `polydx run` makes one, and `--run` names it (looked in {folder})"}
    try:
        found = _figures(folder, config, study, recipe)
    except PolydxError as error:
        if run is not None:
            raise
        return {"absent": f"{folder}: {error.message}"}
    return found


def _figures(folder: Path, config: Config, study: str, recipe: str) -> dict[str, Any]:
    run = read_run(folder)
    if run.study["name"] != study or recipe not in run.config.recipes:
        raise ConfigError(f"the run {folder} is not of recipe '{recipe}' on study '{study}'")
    if run.config.recipes[recipe].model_dump(mode="json") != config.recipes[recipe].model_dump(mode="json"):
        raise ConfigError(
            f"recipe '{recipe}' of the run {folder} has other settings than the one to train: run it again"
        )
    tasks = run.metrics["recipes"][recipe]["tasks"]
    figures = {name: {level: _estimates(levels[level]) for level in levels} for name, levels in tasks.items()}
    kept = {name: {level: f for level, f in levels.items() if f} for name, levels in figures.items()}
    return {"split": run.metrics["split"], "seeds": list(run.config.validation.seeds), "tasks": kept}


def _estimates(level: Any) -> dict[str, Any]:
    """Return the figures of one level that could be computed."""
    if not isinstance(level, dict):
        return {}
    wanted = ("estimate", "low", "high")
    return {
        name: {key: figure.get(key) for key in wanted}
        for name, figure in level.items()
        if isinstance(figure, dict) and isinstance(figure.get("estimate"), int | float)
    }
