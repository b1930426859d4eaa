"""The user guide says what is: keys, defaults, names, commands, links and snippets are checked against the package."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from polydx import config
from polydx.io.config_file import read_config

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
WRITTEN = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
REQUIRED = "required"
INTERNAL = {"Strict", "Open", "MemberReference"}
DEFAULTS_OF_A_SECTION = {"validation", "training", "missing"}

Row = tuple[str, str]


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def rows_below(text: str, start: int) -> list[list[str]]:
    """The cells of the first table after a place, without its head."""
    lines = text[start:].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    table = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return table[2:]


def marked_tables(text: str, kind: str) -> dict[str, list[list[str]]]:
    return {found[1]: rows_below(text, found.end()) for found in re.finditer(rf"<!-- {kind}: ([\w-]+) -->", text)}


def code(cell: str) -> str:
    return cell.strip().strip("`")


def plain(value: Any) -> Any:
    """A default as YAML holds it."""
    if isinstance(value, config.Open):
        return value.name
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    return value


def assert_documented(rows: list[list[str]], expected: Mapping[str, Any], where: str) -> None:
    """Each name has a row, in the first column, with its default in the second."""
    told = {code(cells[0]): cells[1] for cells in rows}
    assert set(told) == set(expected), f"{where}: documented {sorted(told)}, there are {sorted(expected)}"
    for name, default in expected.items():
        if default is REQUIRED:
            assert told[name] == REQUIRED, f"{where}: {name} is required"
        elif name not in DEFAULTS_OF_A_SECTION:
            assert yaml.safe_load(code(told[name])) == plain(default), f"{where}: {name} defaults to {default!r}"


def parameters(target: Callable[..., Any], hidden: tuple[str, ...] = ()) -> dict[str, Any]:
    found = inspect.signature(target).parameters.values()
    return {p.name: REQUIRED if p.default is p.empty else p.default for p in found if p.name not in hidden}


def schemas() -> list[type[BaseModel]]:
    classes = [found for name, found in vars(config).items() if inspect.isclass(found) and name not in INTERNAL]
    return [found for found in classes if issubclass(found, BaseModel) and found.__module__.startswith(config.__name__)]


@pytest.mark.parametrize("schema", schemas(), ids=lambda s: s.__name__)
def test_every_key_of_the_yaml_is_documented_with_its_default(schema):
    expected: dict[str, Any] = {}
    for name in schema.__annotations__:
        if name == "model_config":
            continue
        field = schema.model_fields[name]
        default = field.get_default(call_default_factory=True)
        expected[field.alias or name] = REQUIRED if default is PydanticUndefined else default
    tables = marked_tables(page("study-yaml.md"), "schema")
    assert schema.__name__ in tables, f"docs/study-yaml.md has no table for {schema.__name__}"
    assert_documented(tables[schema.__name__], expected, schema.__name__)


def test_a_key_that_is_not_documented_is_noticed():
    with pytest.raises(AssertionError, match="there are"):
        assert_documented([["`window`", "`11`"]], {"window": 11, "order": 3}, "savitzky_golay")
    with pytest.raises(AssertionError, match="defaults to 3"):
        assert_documented([["`order`", "`2`"]], {"order": 3}, "savitzky_golay")


def test_every_preprocessing_step_is_documented_with_its_parameters():
    from polydx.preprocessing.images import STEPS as IMAGE_STEPS
    from polydx.preprocessing.spectra import STEPS as SPECTRA_STEPS

    assert not set(IMAGE_STEPS) & set(SPECTRA_STEPS)
    STEPS: dict[str, Callable[..., Any]] = {**SPECTRA_STEPS, **IMAGE_STEPS}
    text = page("preprocessing.md")
    sections = {found[1]: found for found in re.finditer(r"^### `(\w+)` \((\w+)\)$", text, flags=re.MULTILINE)}
    assert set(sections) == set(STEPS)
    for name, found in sections.items():
        assert found[2] == STEPS[name].__name__
        expected = parameters(STEPS[name], hidden=("axis",))
        body = re.split(r"^#", text[found.end() :], maxsplit=1, flags=re.MULTILINE)[0]
        assert ("No parameters." in body) == (not expected), name
        if expected:
            assert_documented(rows_below(body, 0), expected, name)


def test_every_step_over_tables_is_documented_with_its_parameters():
    from polydx.preprocessing.tables import STEPS

    text = page("preprocessing.md")
    sections = {found[1]: found for found in re.finditer(r"^### Table: `(\w+)` \((\w+)\)$", text, flags=re.MULTILINE)}
    assert set(sections) == set(STEPS)
    for name, found in sections.items():
        assert found[2] == STEPS[name].__name__
        body = re.split(r"^#", text[found.end() :], maxsplit=1, flags=re.MULTILINE)[0]
        expected = parameters(STEPS[name])
        assert ("No parameters." in body) == (not expected), name
        if expected:
            assert_documented(rows_below(body, 0), expected, name)


@pytest.mark.slow
def test_the_sizes_of_the_backbones_are_what_they_are():
    from polydx.models.backbones import BACKBONES, build_backbone
    from polydx.models.summary import summarise

    told = {code(row[0]): row[1:] for row in marked_tables(page("models.md"), "sizes")["backbones"]}
    sizes = {name: summarise(build_backbone(name, 1, 1), (1, 900)) for name in BACKBONES}
    assert told == {name: [f"{size.parameters:,}", f"{size.multiply_adds:,}"] for name, size in sizes.items()}


def test_every_classical_model_is_documented_with_its_defaults():
    from polydx.recipes.catalogue import ESTIMATORS

    text = page("models.md")
    rows = {code(cells[0]): cells for cells in marked_tables(text, "models")["classical"]}
    assert set(rows) == set(ESTIMATORS)
    tables = marked_tables(text, "params")
    for name, spec in ESTIMATORS.items():
        pairs = re.findall(r"`(\w+): ([^`]+)`", rows[name][2])
        told = {key: yaml.safe_load(value) for key, value in pairs}
        assert told == dict(spec.defaults), name
        assert (rows[name][4] == "calibrated") == spec.calibrated, name
        assert (rows[name][3] == "sample weights") == spec.weighted, name
        if spec.own:
            fields = {f.name: f.default for f in dataclasses.fields(spec.build) if f.name != "random_state"}
            assert_documented(tables[name], fields, name)


def test_backbones_necks_augmentations_and_losses_are_documented():
    from polydx.augmentation.images import IMAGE_AUGMENTATIONS
    from polydx.augmentation.spectra import AUGMENTATIONS
    from polydx.models.backbones import BACKBONES, TABLE_BACKBONES
    from polydx.models.fusion import FUSIONS
    from polydx.models.necks import NECKS
    from polydx.recipes.network_plan import LOSSES

    text = page("models.md")
    tables = marked_tables(text, "params")
    for name, build in (BACKBONES | TABLE_BACKBONES).items():
        rows = tables["mlp_backbone" if name == "mlp" else name]
        assert_documented(rows, parameters(build, hidden=("dims", "channels", "fields")), f"backbone {name}")
    necks = {code(c[0]): c[1] for c in rows_below(text, text.index("### Necks"))}
    assert set(necks) == set(NECKS)
    for name, neck in NECKS.items():
        options = parameters(neck, hidden=("out_width", "map_shape"))
        assert re.findall(r"`(\w+)`", necks[name]) == list(options), name
    amounts = {code(c[0]): float(c[1].split("`")[1]) for c in rows_below(text, text.index("### Augmentation"))}
    assert amounts == {name: found.default for name, found in AUGMENTATIONS.items()}
    for name, found in IMAGE_AUGMENTATIONS.items():
        cells = next(c for c in tables["image_augmentation"] if code(c[0]) == name)
        told = {key: yaml.safe_load(value) for key, value in re.findall(r"`(\w+): ([^`]+)`", cells[1])}
        assert told | {"probability": float(code(cells[2]))} == parameters(found), name
    assert {code(c[0]) for c in tables["image_augmentation"]} == set(IMAGE_AUGMENTATIONS)
    losses = text[text.index("### Losses") :]
    assert all(f"`{name}`" in losses for name in LOSSES)
    for name, fusion in FUSIONS.items():
        assert_documented(tables[name], parameters(fusion, hidden=("widths",)), f"fusion {name}")


def test_splits_checks_and_options_of_datasets_are_documented():
    from polydx.datasets.catalogue import DATASETS
    from polydx.datasets.simulated import Instrument
    from polydx.splits.make import SPLITS

    text = page("validation.md")
    assert [code(c[0]) for c in rows_below(text, text.index("## Splits"))] == list(SPLITS)
    source = "".join(p.read_text() for p in (ROOT / "src/polydx/validation/checks").glob("*.py"))
    made = set(re.findall(r'"(?:error|warning|note)",\s*"([a-z]+(?:-[a-z]+)*)",', source))
    made |= set(re.findall(r'\("(?:note|warning)", "([a-z-]+)"\)', source))
    listed = rows_below(text, text.index("## Leakage checks"))
    assert {name for cells in listed for name in re.findall(r"`([a-z-]+)`", cells[0])} == made - {"warning"}
    tables = marked_tables(page("datasets.md") + page("simulated-cohort.md"), "options")
    for name, dataset in DATASETS.items():
        assert f"`{name}`" in page("datasets.md")
        options = parameters(dataset.load, hidden=("folder", "group"))
        assert (name in tables) == bool(options), name
        if options:
            assert_documented(tables[name], options, name)
    assert_documented(tables["instrument"], parameters(Instrument), "instrument")


def test_files_of_a_run_are_documented():
    from polydx.validation.metrics import METRICS
    from polydx.validation.predictions import SCHEMA

    text = page("files.md")
    columns = marked_tables(text, "columns")["predictions"]
    assert [code(c[0]) for c in columns] == SCHEMA.names
    level = marked_tables(text, "keys")["level"]
    assert [name for c in level for name in re.findall(r"`(\w+)`", c[0])] == list(METRICS)
    keys = {name for c in marked_tables(text, "keys")["metrics"] for name in re.findall(r"`(\w+)`", c[0])}
    source = inspect.getsource(importlib.import_module("polydx.workflows.running")._metrics)
    assert keys == set(re.findall(r'^        "(\w+)":', source, flags=re.MULTILINE))


def test_every_command_is_in_the_map_and_every_command_shown_exists():
    import typer

    from polydx.cli import app, data_app

    verbs = set(typer.main.get_command(app).commands) - {"data"}
    listed = page("index.md")
    assert all(f"`polydx {verb}" in listed for verb in verbs)
    below = set(typer.main.get_command(data_app).commands)
    for path in WRITTEN:
        text = path.read_text(encoding="utf-8")
        for line in [line for block in blocks(text, "console") for line in block.splitlines()]:
            words = line.removeprefix("$ ").split()
            if line.startswith("$ polydx"):
                assert words[1] in verbs | {"data"}, f"{path.name}: {line}"
                assert words[1] != "data" or words[2] in below, f"{path.name}: {line}"


def test_the_make_targets_shown_are_there():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    shown = {
        found
        for path in WRITTEN
        for found in re.findall(r"^\$ make ([a-z]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    assert {"demo", "test"} <= shown <= targets


def slugs(text: str) -> set[str]:
    heads = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), flags=re.MULTILINE
    )
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", head).strip().lower()) for head in heads}


@pytest.mark.parametrize("path", WRITTEN, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        there = path.parent / name if name else path
        assert there.is_file(), f"{path.name}: {target}"
        assert not anchor or anchor in slugs(there.read_text(encoding="utf-8")), f"{path.name}: {target}"


def snippets() -> Iterator[Any]:
    for path in WRITTEN:
        for i, text in enumerate(blocks(path.read_text(encoding="utf-8"), "yaml")):
            yield pytest.param(text, id=f"{path.stem}-{i}")


@pytest.mark.parametrize("text", list(snippets()))
def test_yaml_snippets_are_read_and_their_recipes_can_be_built(text, tmp_path):
    from polydx.datasets.simulated import simulate_cohort
    from polydx.recipes.build import build_recipes

    if "study" not in yaml.safe_load(text):
        text += "\nstudy: {dataset: simulated-tumour}\n"
    file = tmp_path / "study.yaml"
    file.write_text(text, encoding="utf-8")
    found = read_config(file)
    if found.study.dataset == "simulated-tumour":
        build_recipes(found.recipes, simulate_cohort(patients=21, spectra_per_patient=1))


@pytest.mark.parametrize("name", ["python.md", "your-own-data.md"])
@pytest.mark.slow
def test_python_snippets_run(name, tmp_path, capsys):
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        exec("\n".join(blocks(page(name), "python")), {})
    finally:
        os.chdir(here)
    if name == "your-own-data.md":
        from polydx.workflows import check, init

        written, notes = init(tmp_path / "my-folder")
        shown = next(b for b in blocks(page(name), "yaml") if "my-folder" in b)
        shown_file = tmp_path / "my-folder" / "shown.yaml"
        shown_file.write_text(shown, encoding="utf-8")
        assert (read_config(written[0]), notes) == (read_config(shown_file), ())
        assert check(written[0]).findings == []


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("table", DOCS / "results" / "table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NUMBER = r"−?\d+\.\d{3}"
COUNT = r"\d+"  # of patients, in tables of scenarios
CELL = re.compile(rf"{COUNT}|{NUMBER}(?: ± {NUMBER})?(?: \({NUMBER} to {NUMBER}\))?|–")


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted((DOCS / "results").glob("*.md"))], ids=lambda p: p.stem)
def test_results_are_filled_in_and_say_how_to_get_them(path):
    text = path.read_text(encoding="utf-8")
    tables = list(script().BLOCK.finditer(text))
    assert tables
    for found in tables:
        folder, _, variant = found["run"].partition("/")[2].partition("/")
        assert f"--out runs/{folder}\n" in text, f"no command for {found['run']}"
        assert not variant or f"`{variant}`" in text, f"{found['run']} is not said to be a variant"
        assert "95 % interval" in found[0]
        cells = [
            c.strip()
            for line in found[0].splitlines()
            if line.startswith("| ")
            for c in line.strip("| ").split("|")[1:]
        ]
        figures = [c for c in cells if re.match(r"[−\d–]", c) and c != "---" and "missing" not in c]
        assert len(figures) >= 4
        assert all(CELL.fullmatch(c) for c in figures), figures


def test_the_table_of_a_run_is_written_in_place_and_says_why_there_is_none():
    def figure(estimate: float) -> dict[str, float]:
        return {"estimate": estimate, "low": 0.5, "high": 0.9876, "sd_seeds": 0.0125}

    level = {"n": 4, "n_patients": 2, "classes": {"no": 1, "yes": 1}}
    level |= {m: figure(0.75) for m in ("auroc", "accuracy", "sensitivity", "specificity")}
    metrics = {
        "study": "tiny", "simulated": True, "split": "group-k-fold", "folds": 2, "seeds": [0, 1], "resamples": 100,
        "recipes": {"svm": {"tasks": {"a": {
            "patient": None, "patient_reason": "asked of samples", "sample": level,
            "mean_within_patient_accuracy": figure(1.0),
        }}}},
        "comparisons": [{
            "a": "svm", "b": "lda", "metric": "auroc", "difference": 0.0, "low": None, "high": None, "p": 1.0,
            "p_holm": 1.0, "reason": "both order the patients alike",
        }], "leakage_gap": {"a": {"by_sample": None, "reason": "one sample a patient"}},
    }  # fmt: skip
    told = script().markdown(metrics)
    assert told.startswith("SIMULATED DATA. Study `tiny`; group-k-fold, 2 folds; figures are means over 2 seeds")
    assert "**a, patient level:** asked of samples." in told
    assert "4 samples of 2 patients (1 no, 1 yes)" in told
    assert "Estimate ± standard deviation over seeds (95 % interval)." in told
    assert "| svm | 0.750 ± 0.013 (0.500 to 0.988) |" in told
    assert "not measured, one sample a patient" in told
    assert "(p = 1.000 after Holm). No interval: both order the patients alike." in told


def test_a_table_of_scenarios_has_each_recipe_complete_and_without():
    def figure(value):
        return {"estimate": value, "low": value - 0.1, "high": value + 0.1}

    without = {"n": 3, "auroc": figure(0.6), "difference": {"auroc": figure(-0.2)}}
    own = {"patient": {"n": 4, "auroc": figure(0.8)}, "scenarios": {"without:image": {"patient": without}}}
    own["scenarios"]["only:image"] = {"patient": None, "patient_reason": "no patient with a label has anything left"}
    metrics = {
        "study": "tiny", "simulated": False, "split": "group-k-fold", "folds": 2, "seeds": [0], "resamples": 100,
        "primary": None, "recipes": {"fused": {"tasks": {"a": own}}, "image-only": {"tasks": {"a": {"patient": {}}}}},
        "scenario_losses": [{
            "scenario": "at-random:0.3", "task": "a", "metric": "auroc", "a": "fused", "b": "late", "reason": "none",
        }],
    }  # fmt: skip
    told = script().scenarios(metrics)
    assert "| fused | complete | 4 | 0.800 (0.700 to 0.900) |  |" in told
    assert "| fused | without image | 3 | 0.600 (0.500 to 0.700) | −0.200 (−0.300 to −0.100) |" in told
    assert "| fused | image only | – | – | – |" in told
    assert "image-only" not in told
    assert told.endswith("- AUROC of a, 30 % missing at random: fused and late could not be compared: none.")


def test_rewriting_a_page_touches_its_own_runs_only(tmp_path, monkeypatch):
    module = script()
    monkeypatch.setattr(module, "read_metrics", lambda run: {"run": run})
    monkeypatch.setattr(module, "markdown", lambda metrics, level: f"{metrics['run']} {level}")
    monkeypatch.setattr(module, "scenarios", lambda metrics, level: f"gaps of {metrics['run']} {level}")
    page = "<!-- scenarios: runs/x -->\nold\n<!-- end -->\n"
    assert module.rewritten(page) == "<!-- scenarios: runs/x -->\n\ngaps of runs/x None\n\n<!-- end -->\n"
    before = "a\n<!-- table: runs/x -->\nold\n<!-- end -->\nb\n<!-- table: runs/y patient -->\n<!-- end -->\nc\n"
    both = module.rewritten(before)
    assert both == (
        "a\n<!-- table: runs/x -->\n\nruns/x None\n\n<!-- end -->\nb\n"
        "<!-- table: runs/y patient -->\n\nruns/y patient\n\n<!-- end -->\nc\n"
    )
    assert module.rewritten(both) == both
    assert "old" in module.rewritten(before, only="runs/y")


def test_every_page_is_in_the_site_and_the_api_pages_name_modules_that_exist():
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for path in PAGES:
        assert path.relative_to(DOCS).as_posix() in site
        for module in re.findall(r"^::: (\S+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
            assert importlib.util.find_spec(module) is not None, module
