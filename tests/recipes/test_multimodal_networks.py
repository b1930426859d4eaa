"""Networks of several modalities: fitted with gaps and bags, predicting from whatever a sample has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from polydx.errors import ConfigError, StudyError
from polydx.models.fusion import FUSIONS
from polydx.recipes.build import build_recipes
from polydx.recipes.extract import extract
from polydx.recipes.kinds import rebuild
from polydx.recipes.store import load_model
from polydx.study import Images, RowIndex, Spectra, Study, Table, Task
from saved import save_model

Make = Callable[..., Study]
SMALL: dict[str, dict[str, Any]] = {"attention": {"width": 8, "layers": 1, "heads": 2}, "gated": {"width": 8}}
FUSED: list[Any] = [{"name": name, **SMALL.get(name, {})} for name in FUSIONS]
NETWORK: dict[str, Any] = {
    "kind": "network",
    "backbones": {
        "raman": {"name": "cnn", "width": 4, "multipliers": [1, 1]},
        "image": {"name": "cnn", "width": 4},
        "clinical": {"name": "ft_transformer", "width": 8, "layers": 1, "heads": 2},
    },
    "preprocessing": {"image": [{"resize": {"size": 16}}]},
    "training": {"epochs": 3, "batch_size": 8, "lr": 0.01, "patience": None},
}


@pytest.fixture(scope="module")
def make(tmp_path_factory) -> Make:
    """Patients with a bag of spectra, an image and a row of a table each, of which some lack one or another."""
    folder = tmp_path_factory.mktemp("images")

    def build(patients: int = 12, spectra: int = 2, gaps: bool = True, seed: int = 0) -> Study:
        rng = np.random.default_rng(seed)
        codes = np.arange(patients) % 2
        axis = np.linspace(600.0, 1600.0, 40)
        counts = [0 if gaps and i % 5 == 4 else 1 + i % spectra for i in range(patients)]
        owner = np.repeat(np.arange(patients), counts)
        values = rng.normal(10, 0.3, (len(owner), 40)) + codes[owner, None] * np.exp(-(((axis - 1000) / 40) ** 2))
        paths = []
        for i in range(patients):
            pixels = rng.normal(140 + 30 * codes[i], 20, (18, 18, 3)).clip(0, 255).astype(np.uint8)
            paths.append(folder / f"{seed}-{i}.png")
            Image.fromarray(pixels).save(paths[-1])
        seen = [i for i in range(patients) if not (gaps and i % 5 == 2)]
        clinical = pd.DataFrame(
            {
                "age": np.where(np.arange(patients) % 4 == 3, np.nan, rng.normal(60, 9, patients) + 5 * codes),
                "sex": np.where(rng.random(patients) < 0.5, "f", "m").astype(object),
                "grade": pd.Categorical.from_codes(rng.integers(0, 3, patients), ["G1", "G2", "G3"], ordered=True),
            }
        )
        known = [i for i in range(patients) if not (gaps and i % 6 == 1)]
        ids = pd.Index([f"s{i}" for i in range(patients)], name="sample", dtype=object)
        starts = np.concatenate([[0], np.cumsum(counts)])
        return Study(
            "several",
            pd.DataFrame({"patient": [f"p{i}" for i in range(patients)]}, index=ids),
            {
                "raman": Spectra(values.astype(np.float32), axis),
                "image": Images(tuple(paths[i] for i in seen)),
                "clinical": Table(clinical.iloc[known].reset_index(drop=True)),
            },
            {
                "clinical": RowIndex.from_lists([[known.index(i)] if i in known else [] for i in range(patients)]),
                "raman": RowIndex(starts, np.arange(len(owner))),
                "image": RowIndex.from_lists([[seen.index(i)] if i in seen else [] for i in range(patients)]),
            },
            {"disease": Task(("no", "yes"))},
            pd.DataFrame({"disease": codes}, index=ids),
        )

    return build


def lacking(study: Study, *names: str) -> Study:
    """The study without a row of these modalities."""
    empty = RowIndex.from_lists([[] for _ in range(len(study))])
    none = np.empty(0, np.int64)
    modalities = {n: m.take(none) if n in names else m for n, m in study.modalities.items()}
    return replace(study, modalities=modalities, rows={n: empty if n in names else r for n, r in study.rows.items()})


def fitted(study: Study, **changes: Any) -> Any:
    return build_recipes({"it": NETWORK | changes}, study)["it"].fit(study, 0)


@pytest.mark.parametrize("fusion", FUSED, ids=lambda f: f["name"])
def test_a_network_answers_from_any_modality_and_refuses_from_none(make, fusion):
    study = make()
    model = fitted(study, fusion=fusion)
    whole = make(gaps=False)
    answers = {
        names: model.predict_proba(lacking(whole, *names))["disease"]
        for count in (0, 1, 2)
        for names in combinations(whole.modalities, count)
    }
    for found in answers.values():
        assert found.shape == (12, 2)
        np.testing.assert_allclose(found.sum(axis=1), 1)
    assert len(answers) == 7
    assert all(np.abs(a - b).max() > 1e-5 for a, b in combinations(answers.values(), 2))
    absent = replace(whole, modalities={"raman": whole.modalities["raman"]}, rows={"raman": whole.rows["raman"]})
    np.testing.assert_array_equal(model.predict_proba(absent)["disease"], answers[("image", "clinical")])
    with pytest.raises(
        StudyError, match="12 samples with none of the modalities raman, image, clinical: s0, s1, s2, ..."
    ):
        model.predict_proba(lacking(whole, *whole.modalities))


@pytest.mark.parametrize("fusion", FUSED, ids=lambda f: f["name"])
def test_a_sample_is_answered_alike_alone_and_among_others(make, fusion):
    study = make()
    model = fitted(study, fusion=fusion)
    together = model.predict_proba(study)["disease"]
    alone = np.vstack([model.predict_proba(study.take(np.array([i])))["disease"] for i in range(len(study))])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    order = np.random.default_rng(0).permutation(len(study))
    np.testing.assert_allclose(model.predict_proba(study.take(order))["disease"], together[order], atol=1e-6)
    back = rebuild(*model.state())
    np.testing.assert_array_equal(back.predict_proba(study)["disease"], together)


@pytest.mark.parametrize("variants", [0, 2])
def test_a_network_of_several_modalities_repeats_to_the_byte(make, variants):
    study, changes = make(), {"fusion": FUSED[-1], "augmentation": {"raman": ["noise"], "image": ["horizontal_flip"]}}
    changes["training"] = NETWORK["training"] | {
        "modality_dropout": 0.4,
        "mixup": 0.3,
        "augmentation_variants": variants,
    }
    one, other = fitted(study, **changes), fitted(study, **changes)
    for key, value in one.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[key])


def test_rows_of_a_modality_in_another_order_change_nothing(make):
    study = make()
    modalities, rows = dict(study.modalities), dict(study.rows)
    for name in ("image", "clinical"):
        order = np.random.default_rng(0).permutation(len(modalities[name]))
        modalities[name] = modalities[name].take(order)
        rows[name] = RowIndex(rows[name].starts, np.argsort(order)[rows[name].rows])
    columns = modalities["clinical"].frame[["sex", "grade", "age"]]
    moved = replace(study, modalities={**modalities, "clinical": Table(columns)}, rows=rows)
    one, other = fitted(study).predict_proba(study), fitted(moved).predict_proba(moved)
    np.testing.assert_array_equal(one["disease"], other["disease"])


def test_bags_of_one_modality_are_pooled_before_the_heads(make):
    study = make(gaps=False)
    one: dict[str, Any] = {"backbones": {"raman": NETWORK["backbones"]["raman"]}, "preprocessing": {}}
    for how in ("mean", "attention"):
        model = fitted(study, bags={"raman": how}, **one)
        assert ("pools.raman.score.weight" in model.network.state_dict()) == (how == "attention")
        assert model.predict_proba(study)["disease"].shape == (12, 2)
    row_by_row = fitted(study, **one)
    assert not row_by_row.inputs.by_sample


def test_pretraining_takes_each_modality_alone(make):
    study = make()
    wanted = {"method": "simclr", "epochs": 2, "batch_size": 8, "projection": [8, 4]}
    wanted["augmentation"] = {"raman": ["noise"], "image": ["horizontal_flip", "rotation"]}
    model = fitted(study, pretrain=wanted)
    assert {"pretrain/raman/loss", "pretrain/image/spread"} <= set(model.history[0])
    assert [row["epoch"] for row in model.history] == [-2, -1, 0, 1, 2]
    wanted["augmentation"] = {"image": ["horizontal_flip", "rotation"]}
    model = fitted(study, pretrain=wanted)
    assert "pretraining leaves out raman, clinical: without augmentation there are no two views" in model.notes
    assert "pretrain/loss" in model.history[0]


def test_a_contrastive_encoder_in_two_stages_is_parts_put_together(make):
    study = make(gaps=False)
    steps = ["horizontal_flip", {"rotation": {"amount": 20.0}}, {"colour_jitter": {"probability": 0.5}}]
    views = [*steps, {"blur": {"amount": 2.0, "probability": 0.5}}]
    changes = {
        "backbones": {"image": {"name": "resnet", "depth": 10, "width": 0.0625}},
        "necks": {"image": "self_attention"},
        "heads": {"disease": {"hidden": [8]}},
        "pretrain": {"method": "simclr", "projection": [8, 4], "epochs": 2, "augmentation": {"image": views}},
        "preprocessing": {"image": NETWORK["preprocessing"]["image"]},
        "freeze": ["image"],
    }
    recipe: Any = build_recipes({"it": NETWORK | changes}, study)["it"]
    without: Any = build_recipes({"it": NETWORK | changes | {"pretrain": None}}, study)["it"]
    fresh, start, model = (
        found.network.state_dict()
        for found in (without.start(study, 0).fitted, recipe.start(study, 0).fitted, recipe.fit(study, 0))
    )
    learned = {key for key in start if key.startswith("backbones.") and not torch.equal(fresh[key], start[key])}
    assert any(key.startswith("backbones.image.stem.") for key in learned)
    assert all(torch.equal(start[key], model[key]) for key in model if key.startswith("backbones."))
    stage_two = {"necks.image.attend.value.weight", "heads.disease.layers.hidden1.linear.weight"}
    assert all(torch.equal(fresh[key], start[key]) and not torch.equal(start[key], model[key]) for key in stage_two)


@pytest.mark.parametrize("fusion", FUSED, ids=lambda f: f["name"])
def test_the_weights_of_the_modalities_are_told_for_what_a_sample_has(make, fusion):
    study = make()
    weights = fitted(study, fusion=fusion).modality_weights(study)
    if fusion["name"] == "concat":
        assert weights is None
        return
    told = np.column_stack(list(weights.values()))
    np.testing.assert_allclose(np.nansum(told, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(np.isnan(told), np.column_stack([~study.present(name) for name in weights]))


@pytest.mark.slow
def test_tensorboard_holds_losses_metrics_shares_and_probes(make, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    study = make(patients=20)
    views = {"raman": ["noise"], "image": ["horizontal_flip"]}
    changes = {
        "fusion": {"name": "attention", **SMALL["attention"]},
        "pretrain": {"method": "simclr", "projection": [8, 4], "epochs": 2, "augmentation": views},
        "training": NETWORK["training"] | {"patience": 5, "inner_share": 0.3},
    }
    recipe: Any = build_recipes({"it": NETWORK | changes}, study)["it"]
    model = recipe.fit(study, 0, tmp_path)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {"loss", "loss/disease", "monitor", "accuracy/disease", "auroc/disease"} <= tags
    assert {"share/raman", "share/image", "pretrain/raman/loss", "pretrain/image/knn/disease"} <= tags
    shares = [[event.value for event in events.Scalars(f"share/{name}")] for name in ("raman", "image")]
    assert np.shape(shares) == (2, 3)
    assert "share/clinical" in tags
    assert 0 < np.min(shares) < np.max(shares) <= 1
    assert not {"share/raman", "accuracy/disease"} & set(model.history[-1])
    silent = recipe.fit(study, 0)
    assert silent.history == model.history
    assert all(torch.equal(v, silent.network.state_dict()[k]) for k, v in model.network.state_dict().items())


@pytest.mark.parametrize("method", ["supervised", "supcon"])
def test_pretraining_with_labels_takes_several_modalities(make, method):
    wanted = {"method": method, "projection": [8, 4], "epochs": 1, "augmentation": {"raman": ["noise"]}}
    model = fitted(make(), pretrain=wanted, bags={"raman": "attention"})
    assert [row["epoch"] for row in model.history] == [-1, 0, 1, 2]
    assert np.isfinite(model.history[0]["pretrain/loss"])


def test_an_encoder_of_several_modalities_serves_one_alone(make, tmp_path):
    study = make(gaps=False)
    save_model(tmp_path / "model.zip", fitted(study), build_recipes({"it": NETWORK}, study)["it"], study)
    alone = {"backbones": {"image": NETWORK["backbones"]["image"]}, "init": {"from": str(tmp_path / "model.zip")}}
    recipe: Any = build_recipes({"it": NETWORK | alone}, study)["it"]
    start = recipe.start(study, 1).fitted
    taken = load_model(tmp_path / "model.zip").fitted.network.state_dict()
    assert all(torch.equal(v, taken[k]) for k, v in start.network.state_dict().items() if k.startswith("backbones."))


def test_features_of_samples_are_cut_at_a_stage_or_after_the_fusion(make):
    study = make()
    model = fitted(study)
    assert model.features(study, "embedding").shape == (12, model.network.embedding_width)
    there = study.take(np.flatnonzero(study.present("raman")))
    assert model.features(there, "raman.stage1", "average").shape == (len(there), 4)
    with pytest.raises(StudyError, match="2 samples without 'raman': features at 'raman.stage1' need it"):
        model.features(study, "raman.stage1")


def test_features_are_extracted_and_classified_where_a_sample_has_what_they_need(make):
    study = make()
    frame = extract(fitted(study), study, "image.stage2")
    assert list(frame["sample"]) == list(study.ids[study.present("image")])
    features = {"network": NETWORK, "stage": "image.stage2"}
    wanted = {"kind": "features", "features": features, "model": "logistic_regression"}
    recipe: Any = build_recipes({"it": wanted}, study)["it"]
    assert recipe.modalities == ("image",)
    there = study.having(recipe.modalities)
    assert recipe.fit(there, 0).predict_proba(there)["disease"].shape == (len(there), 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bags": {"ramen": "mean"}}, "'ramen' is none of raman, image, clinical"),
        ({"freeze": ["imaje"]}, "unknown stage 'imaje'"),
        ({"fusion": {"name": "attention", "width": 6, "heads": 4}}, "a multiple of `heads`, but got 6 and 4"),
        ({"fusion": {"name": "attention", "layers": 0}}, "needs at least one layer, but got 0"),
        ({"fusion": {"name": "concat", "missing": "zero"}}, "unknown way to fill in a missing modality 'zero'"),
        ({"fusion": {"name": "attention", "regions": True}, "neck": "flatten"}, "the neck of raman makes"),
        ({"augmentation": {"clinical": ["noise"]}}, "the values of a table are not disturbed; leave it out"),
        ({"preprocessing": {"clinical": {"channels": [["impute"], ["impute"]]}}}, "a table has one list of steps"),
        (
            {"backbones": {"clinical": "cnn"}, "preprocessing": {}},
            "unknown backbone for a table 'cnn'; expected one of mlp, ft_transformer",
        ),
        ({"fusion": {"name": "attention", "depth": 2}}, "unknown option of fusion 'attention' 'depth'"),
    ],
)
def test_what_cannot_be_is_told_before_the_fit(make, changes, message):
    with pytest.raises(ConfigError) as caught:
        build_recipes({"it": NETWORK | changes}, make())
    assert message in str(caught.value)


def test_options_for_several_modalities_are_refused_for_one(make):
    one = {"backbones": {"raman": NETWORK["backbones"]["raman"]}, "preprocessing": {}}
    study = make(gaps=False)
    with pytest.raises(ConfigError, match="leave `fusion` out"):
        build_recipes({"it": NETWORK | one | {"fusion": "attention"}}, study)
    dropping = NETWORK | one | {"training": NETWORK["training"] | {"modality_dropout": 0.3}}
    with pytest.raises(ConfigError, match="leaves out modalities of which the recipe has but one"):
        build_recipes({"it": dropping}, study)


def test_a_fit_needs_a_row_of_every_modality(make):
    study = make()
    recipe = build_recipes({"it": NETWORK}, study)["it"]
    with pytest.raises(StudyError, match="no training row of image: leave it out of the recipe"):
        recipe.fit(lacking(study.take(np.flatnonzero(study.present("raman"))), "image"), 0)
