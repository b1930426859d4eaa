"""The tutorials run from the first cell to the last, and what they claim is so."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest

import polydx
from polydx.datasets.simulated import Instrument, simulate_cohort
from test_docs import slugs

TUTORIALS = Path(__file__).parent.parent / "docs" / "tutorials"
NOTEBOOKS = sorted(TUTORIALS.glob("*.ipynb"))
RESULT = "result-of-the-test"


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


@pytest.fixture
def run_through(tmp_path, monkeypatch):
    """Run a notebook in an empty folder, with this polydx; return what the given expressions are at its end."""

    def run(name: str, **asked: str) -> tuple[Any, dict[str, Any]]:
        from nbclient import NotebookClient

        monkeypatch.setenv("PYTHONPATH", str(Path(polydx.__file__).parents[1]))
        monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        work = tmp_path / "work"
        work.mkdir()
        notebook = read(TUTORIALS / f"{name}.ipynb")
        wanted = ", ".join(f"{key!r}: {expression}" for key, expression in asked.items())
        asking = nbformat.v4.new_code_cell(f"import json\nprint(json.dumps({{{wanted}}}))", id=RESULT)
        notebook.cells.append(asking)
        # A cell that fails raises here.
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(work)}}).execute()
        told = json.loads(notebook.cells.pop().outputs[0].text)
        return notebook, told

    return run


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def pictures(notebook: Any) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs(notebook))


def complaints(notebook: Any) -> list[str]:
    return [output.text for output in outputs(notebook) if output.get("name") == "stderr"]


def test_there_are_three_and_the_index_names_each():
    index = (TUTORIALS / "index.md").read_text(encoding="utf-8")
    assert [path.stem for path in NOTEBOOKS] == ["compare-models", "look-at-the-data", "transfer"]
    assert all(f"]({path.name})" in index for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_kept_without_outputs_and_without_places_of_one_machine(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None and not cell.metadata for cell in code)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert not re.findall(r"(?:^|[\s\"'(=])(?:~|/\w+|[A-Z]:\\)/?[\w/\\]*", text)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_code_is_explained_and_links_lead_somewhere(path):
    cells = read(path).cells
    assert cells[0].source.startswith("# ")
    assert "simulated" in cells[0].source
    prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
    assert len(prose) >= 8
    for target in re.findall(r"\]\(([^)\s]+)\)", "\n".join(prose)):
        name, _, anchor = target.partition("#")
        assert (path.parent / name).is_file(), target
        assert not anchor or anchor in slugs((path.parent / name).read_text(encoding="utf-8")), target


class Page(SimpleNamespace):
    """What MkDocs tells a hook of a page: where it is written, and where it will lie."""

    def url_relative_to(self, other: Page) -> str:
        return f"from {other.src_uri} to {self.src_uri}"


def test_links_of_a_notebook_lead_to_pages_of_the_site():
    found = runpy.run_path(str(TUTORIALS / "links.py"))["on_page_content"]
    uris = ("tutorials/one.ipynb", "tutorials/two.ipynb", "validation.md")
    pages = {uri: Page(src_uri=uri) for uri in uris}
    files = SimpleNamespace(get_file_from_path=pages.get)
    html = '<a href="two.ipynb">2</a> <a href="../validation.md#checks">v</a> <a href="https://a.org/b.md">out</a>'
    page = SimpleNamespace(file=pages[uris[0]])
    assert found(html, page=page, files=files, config=None) == (
        '<a href="from tutorials/one.ipynb to tutorials/two.ipynb">2</a> '
        '<a href="from tutorials/one.ipynb to validation.md#checks">v</a> <a href="https://a.org/b.md">out</a>'
    )
    assert found(html, page=SimpleNamespace(file=pages[uris[2]]), files=files) == html
    with pytest.raises(ValueError, match=r"one.ipynb links to gone.md, which is no page of the guide"):
        found('<a href="gone.md">x</a>', page=page, files=files)


@pytest.mark.slow
def test_look_at_the_data(run_through):
    notebook, told = run_through(
        "look-at-the-data",
        unlabelled="unlabelled.sum().to_dict()",
        by_patient="by_patient",
        by_spectrum="by_spectrum",
        snv="[float(abs(derived.mean(axis=1)).max()), float(derived.std(axis=1).mean())]",
        same_patient="float(same_patient)",
        findings="[f.check for f in checked.findings]",
        planted="[f.check for f in found]",
        refusal="refusal",
    )
    study = simulate_cohort(60, 4, seed=0)
    hidden = {task: len(set(study.patients[study.label_codes(task) < 0])) for task in study.tasks}
    assert told["unlabelled"] == hidden == dict.fromkeys(study.tasks, 6)
    assert sum(tested for tested, _ in told["by_patient"]) == 60
    assert all(known == 0 for _, known in told["by_patient"])
    assert all(known > 0.8 * tested for tested, known in told["by_spectrum"])
    np.testing.assert_allclose(told["snv"], [0, 1], atol=1e-4)
    assert told["same_patient"] > 0.1
    assert set(told["findings"]) == {"unlabelled"}
    assert told["planted"] == ["copies"]
    assert study.patients[0] in told["refusal"]
    assert study.patients[-1] in told["refusal"]
    assert (pictures(notebook), complaints(notebook)) == (2, [])


@pytest.mark.slow
def test_compare_models(run_through, tmp_path):
    notebook, told = run_through(
        "compare-models",
        figures="[[*row] for row in patient[['recipe', 'task', 'metric', 'estimate']].dropna().itertuples(index=False)]",
        comparisons="comparisons[['a', 'b', 'p_holm']].values.tolist()",
        seeds="sorted(by_seed)",
        nothing="on_nothing",
        wrong="[len(wrong), len(answers), float((answers['answer'] == answers['label']).mean())]",
    )
    folder = tmp_path / "work" / "run"
    stored = json.loads((folder / "metrics.json").read_text())
    for recipe, task, metric, estimate in told["figures"]:
        assert stored["recipes"][recipe]["tasks"][task]["patient"][metric]["estimate"] == estimate
    assert {tuple(row[:2]) for row in told["comparisons"]} == {("logistic", "pls"), ("logistic", "cnn")}
    assert told["seeds"] == [0, 1, 2]
    gap = told["nothing"]["gap"]
    assert gap["low"] > 0  # recognising people is all there is to find
    splits = pd.read_csv(folder / "splits.csv")
    sides = splits.groupby(["seed", "fold", "role"])["patient"].agg(set).unstack("role")
    assert all(row.train.isdisjoint(row.test) for row in sides.itertuples())
    wrong, people, right = told["wrong"]
    assert wrong == people - round(right * people)
    accuracy = stored["recipes"]["logistic"]["tasks"]["grade"]["patient"]["accuracy"]["estimate"]
    assert right == pytest.approx(accuracy)
    assert "SIMULATED" in (folder / "report.html").read_text(encoding="utf-8").upper()
    assert (pictures(notebook), complaints(notebook)) == (1, [])


@pytest.mark.slow
def test_transfer(run_through, tmp_path):
    notebook, told = run_through(
        "transfer",
        shape="[samples, width]",
        recipes="list(metrics['recipes'])",
        comparisons="comparisons[['a', 'b']].values.tolist()",
        refusal="refusal",
        by_content="refusal_by_content",
    )
    work = tmp_path / "work"
    features = pd.read_parquet(work / "here.parquet")
    here = simulate_cohort(30, 4, seed=1, points=351, name="here")
    assert told["shape"] == [len(here), sum(name.startswith("f0") for name in features)]
    assert features["sample"].tolist() == here.ids.tolist()
    assert told["recipes"] == ["logistic", "scratch", "finetuned", "frozen"]
    assert told["comparisons"] == [["finetuned", "logistic"], ["finetuned", "scratch"]]
    predictions = pd.read_parquet(work / "run" / "predictions.parquet")
    assert predictions.groupby("sample")["fold"].nunique().eq(1).all()  # every recipe was tested on the same folds
    assert "its weights have seen 75 patients that would be tested ('elsewhere/P001'" in told["refusal"]
    assert "under another name, by the content of their measurements ('somewhere/P001'" in told["by_content"]
    seen = manifest(work / "elsewhere.safetensors")
    there = simulate_cohort(75, 4, seed=7, points=351, name="elsewhere", instrument=Instrument(2000, 3.0))
    assert seen["patients"] == sorted(set(there.patients))
    assert seen["hashes"] == sorted(set(there.content_hashes()["raman"]))
    assert (pictures(notebook), complaints(notebook)) == (2, [])


def manifest(weights: Path) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(weights, framework="numpy") as file:
        found: dict[str, Any] = json.loads(file.metadata()["model"])["manifest"]
    return found
