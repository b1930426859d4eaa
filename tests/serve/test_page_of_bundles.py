"""The page over bundles as `polydx train` writes them: spectra and pictures and values in one model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Page, serving

pytestmark = pytest.mark.slow

STUDY = """
study: {dataset: simulated-multimodal, options: {patients: 30, points: 60, image_size: 16}}
recipes:
  fused:
    kind: network
    backbones: {raman: {name: cnn, width: 4}, image: {name: vit, width: 8, layers: 1, heads: 2, patch: 8, points: 16}, clinical: {name: ft_transformer, width: 8, layers: 1, heads: 2}}
    preprocessing: {raman: [snv], image: [normalise]}
    fusion: {name: attention, width: 8}
    training: {epochs: 1, batch_size: 8}
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    from polydx import workflows

    folder = tmp_path_factory.mktemp("fused")
    (folder / "study.yaml").write_text(STUDY)
    return workflows.train(folder / "study.yaml", recipe="fused", out=folder / "fused.zip")


@pytest.fixture
def page(tab, bundle) -> Iterator[Page]:
    from polydx.bundle import load

    predictor = load(bundle)
    with serving(predictor) as address:
        tab.events.clear()
        tab.size(1280)
        tab.scheme("light")
        tab.open(address)
        yield tab
        assert tab.complaints() == []


def test_a_model_of_spectra_pictures_and_values_is_asked_and_explained(page, bundle, tmp_path):
    from polydx.bundle import load

    predictor = load(bundle)
    page.js("document.getElementById('example').click()")
    page.wait("document.querySelector('.legend')")
    assert {line.split(": ")[1] for line in page.text(".used").split("\n")} == {"used"}
    assert "without raman" in page.text(".why")
    assert page.js("document.querySelectorAll('figure').length") == 3
    axis = predictor.modalities["raman"]["axis"]
    values = np.random.default_rng(0).normal(size=len(axis)) + 10
    np.savetxt(tmp_path / "a.txt", np.stack([axis, values], axis=1))
    page.js("document.getElementById('clear').click()")
    page.give_files(tmp_path / "a.txt")
    page.js("document.getElementById('go').click()")
    page.wait("document.querySelector('.legend')")
    assert sorted(page.text(".used").split("\n")) == ["clinical: missing", "image: missing", "raman: used"]
    task = next(iter(predictor.tasks))
    expected = predictor.predict([{"raman": (np.loadtxt(tmp_path / "a.txt")[:, 1][None], axis)}])
    assert page.text(".task .decision") == expected[task][0]
    shown = page.text(".task tr.decided .value")
    assert shown == f"{100 * expected[f'{task}: {expected[task][0]}'][0]:.1f} %"
    about = predictor.modalities["clinical"]["columns"]
    shown = page.js("[...document.querySelectorAll('#tables .field label')].map(e => e.firstChild.data)")
    assert shown == [column["name"] for column in about]
