"""Starting from weights: where they are found, what is loaded, and on which axis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from polydx.config import Config, InitConfig
from polydx.errors import ConfigError
from polydx.models.backbones import build_backbone
from polydx.models.seeding import seeded
from polydx.recipes.build import build_recipes
from polydx.recipes.initial import read_source
from polydx.recipes.paths import with_absolute_paths
from polydx.recipes.pretrain import save_pretrained
from polydx.study import RowIndex, Spectra, Study, Task
from polydx.training.weights import save_weights
from polydx.validation.cross_validation import cross_validate
from saved import save_model

CONFIG = {
    "kind": "network",
    "backbones": {"raman": {"name": "cnn", "width": 4}},
    "preprocessing": {"raman": ["snv"]},
    "training": {"epochs": 2, "batch_size": 8, "patience": None},
}
STAGES = {"width": 6, "stem_width": 4}
BACTERIA = CONFIG | {
    "backbones": {"raman": {"name": "bacteria_resnet", **STAGES}},
    "neck": "flatten",
    "preprocessing": {"raman": ["min_max_norm"]},
}


def recipe(study, base=CONFIG, **changes):
    return build_recipes({"net": base | changes}, study)["net"]


def of_others(make_study, **options):
    """A study of other patients."""
    study = make_study(seed=9, **options)
    return replace(study, samples=study.samples.assign(patient="other/" + study.patients.astype(str)))


def isolates(points=200, classes=30, each=2):
    rng = np.random.default_rng(0)
    n = classes * each
    ids = pd.Index([f"s{i}" for i in range(n)], name="sample", dtype=object)
    axis = np.linspace(400, 1800, points)
    return Study(
        name="isolates",
        samples=pd.DataFrame({"patient": ids}, index=ids),
        modalities={"raman": Spectra(rng.random((n, points)).astype(np.float32), axis)},
        rows={"raman": RowIndex.one_each(n)},
        tasks={"isolate": Task(tuple(f"isolate {i}" for i in range(classes)))},
        labels=pd.DataFrame({"isolate": np.arange(n) % classes}, index=ids),
    )


def published(points=200, classes=30):
    """A state dict under the names of the bacteria-ID study: six stages of two blocks, a linear layer on the flat map."""
    generator = torch.Generator().manual_seed(5)
    state = {}

    def conv(key, out, into, kernel):
        state[f"{key}.weight"] = torch.randn(out, into, kernel, generator=generator) * 0.3

    def norm(key, width):
        state[f"{key}.weight"] = torch.rand(width, generator=generator) + 0.5
        state[f"{key}.bias"] = torch.zeros(width)
        state[f"{key}.running_mean"] = torch.zeros(width)
        state[f"{key}.running_var"] = torch.ones(width)
        state[f"{key}.num_batches_tracked"] = torch.tensor(1)

    conv("conv1", 4, 1, 5)
    norm("bn1", 4)
    into = 4
    for stage in range(6):
        for block in range(2):
            at = f"encoder.{stage}.{block}"
            conv(f"{at}.conv1", 6, into, 5)
            norm(f"{at}.bn1", 6)
            conv(f"{at}.conv2", 6, 6, 5)
            norm(f"{at}.bn2", 6)
            if block == 0:
                conv(f"{at}.shortcut.0", 6, into, 1)
                norm(f"{at}.shortcut.1", 6)
            into = 6
    length = points
    for _ in range(5):
        length = -(-length // 2)
    state["linear.weight"] = torch.randn(classes, 6 * length, generator=generator)
    state["linear.bias"] = torch.randn(classes, generator=generator)
    return state


@pytest.fixture
def ckpt(tmp_path):
    torch.save(published(), tmp_path / "clinical.ckpt")
    return tmp_path / "clinical.ckpt"


def part(network, prefix):
    return {k: v for k, v in network.state_dict().items() if k.startswith(prefix)}


def equal(one, other, prefix):
    a, b = part(one, prefix), part(other, prefix)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_a_backbone_is_taken_over_and_the_head_is_new(make_study, tmp_path):
    source = of_others(make_study)
    first = recipe(source).fit(source, 0)
    save_pretrained(tmp_path / "w.safetensors", first)
    study = make_study()
    start = recipe(study, init={"from": tmp_path / "w.safetensors"}).start(study, 1).fitted
    assert equal(start.network, first.network, "backbones.")
    assert not equal(start.network, first.network, "heads.")
    said = " ".join(start.notes)
    assert "init: loaded backbones.raman (30 tensors) from" in said
    assert "init: left aside heads.disease (2 tensors)" in said
    kept = recipe(study, init={"from": tmp_path / "w.safetensors", "keep_head": True}).start(study, 1).fitted
    assert equal(kept.network, first.network, "")
    assert kept.predict_proba(source)["disease"].tobytes() == first.predict_proba(source)["disease"].tobytes()


@pytest.mark.slow
def test_a_model_folder_and_a_run_folder_serve_as_well(make_study, tmp_path):
    source, study = of_others(make_study), make_study()
    own = recipe(source)
    fitted = own.fit(source, 0)
    save_model(tmp_path / "model.zip", fitted, own, source)
    start = recipe(study, init={"from": tmp_path / "model.zip"}).start(study, 1).fitted
    assert equal(start.network, fitted.network, "backbones.")
    cross_validate(source, {"net": own}, folds=2, folder=tmp_path / "run")
    with pytest.raises(ConfigError, match="holds 2 weights .*say which with `recipe`, `seed`, `fold`"):
        recipe(study, init={"from": tmp_path / "run"})
    found = recipe(study, init={"from": tmp_path / "run", "fold": 1}).start(study, 1).fitted
    other = recipe(study, init={"from": tmp_path / "run", "fold": 0}).start(study, 1).fitted
    assert not equal(found.network, other.network, "backbones.")
    with pytest.raises(ConfigError, match="holds no such weights"):
        recipe(study, init={"from": tmp_path / "run", "recipe": "cnn"})


def test_one_modality_may_have_another_name_in_the_weights(make_study, tmp_path):
    source = of_others(make_study)
    first = recipe(source).fit(source, 0)
    save_pretrained(tmp_path / "w.safetensors", first)
    study = make_study()
    renamed = replace(study, modalities={"saliva": study.modalities["raman"]}, rows={"saliva": study.rows["raman"]})
    config = CONFIG | {"backbones": {"saliva": CONFIG["backbones"]["raman"]}, "preprocessing": {"saliva": ["snv"]}}
    start = recipe(renamed, config, init={"from": tmp_path / "w.safetensors"}).start(renamed, 0).fitted
    assert torch.equal(
        start.network.state_dict()["backbones.saliva.stem.conv.weight"],
        first.network.state_dict()["backbones.raman.stem.conv.weight"],
    )


def test_what_has_another_shape_stays_new_and_is_told(make_study, tmp_path):
    source = of_others(make_study)
    save_pretrained(tmp_path / "w.safetensors", recipe(source).fit(source, 0))
    study = make_study()
    wider = {"raman": {"name": "cnn", "width": 4, "multipliers": [1, 2, 2, 5]}}
    notes = recipe(study, backbones=wider, init={"from": tmp_path / "w.safetensors"}).start(study, 0).fitted.notes
    assert any("not in the weights, or of another shape, and so new: backbones.raman" in note for note in notes)


def test_published_weights_load_predict_their_classes_and_give_features_at_the_three_cuts(ckpt):
    study = isolates()
    fitted = recipe(study, BACTERIA, init={"from": ckpt, "keep_head": True}).start(study, 0).fitted
    assert any("init: loaded linear as the head of 'isolate'" in note for note in fitted.notes)
    found = fitted.predict_proba(study)["isolate"]
    assert found.shape == (60, 30)
    with seeded(0):
        plain = build_backbone("bacteria_resnet", 1, 1, **STAGES)
    left = plain.load_published(published())
    assert set(left) == {"linear.weight", "linear.bias"}
    x = study.spectra("raman").values.astype(np.float64)
    scaled = (x - x.min(axis=1, keepdims=True)) / np.ptp(x, axis=1, keepdims=True)
    with torch.inference_mode():
        maps = plain.eval()(torch.from_numpy(scaled.astype(np.float32))[:, None]).flatten(1)
        logits = maps @ published()["linear.weight"].T + published()["linear.bias"]
    np.testing.assert_allclose(found, torch.softmax(logits, dim=1).numpy(), atol=1e-4)
    # 37, 74 and 147 points for the 1,174 of the published study: half as many a stage.
    lengths = {"raman.stage6": 7, "raman.stage5": 13, "raman.stage4": 25}
    for stage, length in lengths.items():
        assert fitted.features(study, stage).shape == (60, 6 * length)
        pooled = fitted.features(study, stage, "average")
        np.testing.assert_allclose(pooled, fitted.features(study, stage).reshape(60, 6, length).mean(axis=2), atol=1e-5)


def test_published_weights_can_be_fine_tuned_under_another_head(ckpt, make_study):
    study = make_study(points=90)
    own = recipe(study, BACTERIA, init={"from": ckpt}, freeze=["raman.stem"])
    fitted = own.fit(study, 0)
    assert any("left aside linear.weight, linear.bias" in note for note in fitted.notes)
    assert torch.equal(fitted.network.state_dict()["backbones.raman.stem.conv.weight"], published()["conv1.weight"])
    assert not torch.equal(
        fitted.network.state_dict()["backbones.raman.stage1.0.conv1.weight"], published()["encoder.0.0.conv1.weight"]
    )
    assert fitted.manifest.seen.unknown == (str(ckpt),)
    assert fitted.predict_proba(study)["disease"].shape == (24, 2)


def test_a_backbone_under_its_own_names_loads_too(make_study, tmp_path):
    with seeded(3):
        plain = build_backbone("bacteria_resnet", 1, 1, **STAGES)
    save_weights(tmp_path / "w.safetensors", plain)
    study = make_study()
    start = recipe(study, BACTERIA, init={"from": tmp_path / "w.safetensors"}).start(study, 0).fitted
    assert torch.equal(start.network.backbone("raman").stem.conv.weight, plain.stem.conv.weight)


def test_an_axis_that_differs_is_refused_or_resampled(make_study, tmp_path):
    source = of_others(make_study, points=50)
    first = recipe(source).fit(source, 0)
    save_pretrained(tmp_path / "w.safetensors", first)
    study = make_study(points=60)
    init = {"from": tmp_path / "w.safetensors"}
    with pytest.raises(
        ConfigError, match=r"the weights know 50 points 600-1600 .* gives 60 points .* set `axis: resample`"
    ):
        recipe(study, init=init)
    fitted = recipe(study, init=init | {"axis": "resample"}).fit(study, 0)
    np.testing.assert_allclose(fitted.inputs.axes["raman"], source.spectra("raman").axis)
    assert fitted.plan["shapes"] == {"raman": [1, 50]}
    assert fitted.predict_proba(study)["disease"].shape == (24, 2)
    with pytest.raises(ConfigError, match="leave out the step crop"):
        recipe(study, init=init | {"axis": "resample"}, preprocessing={"raman": [{"crop": {"low": 700}}, "snv"]})
    spectra = study.spectra("raman")
    short = replace(study, modalities={"raman": Spectra(spectra.values[:, 10:], spectra.axis[10:])})
    with pytest.raises(ConfigError, match="the study does not cover the weights' axis of 'raman'"):
        recipe(short, init=init | {"axis": "resample"})


def test_nothing_that_fits_is_an_error_before_anything_is_fitted(make_study, tmp_path, ckpt):
    study = make_study()
    save_weights(tmp_path / "other.safetensors", {"backbones.image.stem.weight": torch.ones(2)})
    torch.save({"x.weight": torch.ones(2)}, tmp_path / "x.pt")
    for init, message in (
        ({"from": tmp_path / "other.safetensors"}, "the weights do not fit this network"),
        ({"from": tmp_path / "x.pt"}, "the weights do not fit this backbone"),
        ({"from": tmp_path / "missing.ckpt"}, "no such file of weights"),
        ({"from": tmp_path}, "neither a model folder nor a run with a network"),
    ):
        with pytest.raises(ConfigError, match=message):
            recipe(study, init=init)
    with pytest.raises(ConfigError, match=r"expected \(2, 12\), found \(30, 42\)"):
        recipe(study, BACTERIA, init={"from": ckpt, "keep_head": True})
    with pytest.raises(ConfigError, match="holds a backbone alone; `modules` asks for necks"):
        recipe(study, BACTERIA, init={"from": ckpt, "modules": ["necks"]})


def test_a_head_to_keep_that_does_not_fit_is_an_error(make_study, tmp_path):
    source = of_others(make_study)
    save_pretrained(tmp_path / "w.safetensors", recipe(source).fit(source, 0))
    study = make_study()
    with pytest.raises(ConfigError, match="no head of .* fits a task of this study"):
        recipe(study, heads={"disease": {"hidden": [5]}}, init={"from": tmp_path / "w.safetensors", "keep_head": True})


def test_weights_of_no_network_are_refused(make_study, tmp_path):
    study = make_study()
    own = build_recipes({"a": {"kind": "classical", "model": "logistic_regression"}}, study)["a"]
    save_model(tmp_path / "model.zip", own.fit(study, 0), own, study)
    with pytest.raises(ConfigError, match="holds no network"):
        recipe(study, init={"from": tmp_path / "model.zip"})


def test_a_classifier_is_kept_only_where_there_is_one_task(ckpt):
    study = isolates()
    two = replace(study, tasks={**study.tasks, "more": study.tasks["isolate"]}, labels=study.labels.assign(more=0))
    with pytest.raises(ConfigError, match="a head is kept where weights and study have one each, not 1 and 2"):
        recipe(two, BACTERIA, init={"from": ckpt, "keep_head": True})


def test_other_weights_in_the_same_file_are_another_recipe(make_study, tmp_path):
    source, study = of_others(make_study), make_study()
    digests = []
    for seed in (0, 1):
        save_pretrained(tmp_path / "w.safetensors", recipe(source).fit(source, seed))
        digests.append(recipe(study, init={"from": tmp_path / "w.safetensors"}).config["init_digest"])
    assert digests[0] != digests[1]


def test_other_weights_make_another_ensemble_and_another_recipe_of_features(make_study, tmp_path):
    source, study = of_others(make_study), make_study()
    network = CONFIG | {"init": {"from": tmp_path / "w.safetensors"}}
    recipes = {
        "net": network,
        "tree": {"kind": "features", "features": {"from": "net", "stage": "embedding"}, "model": "decision_tree"},
        "both": {"kind": "ensemble", "members": ["net", "tree"]},
        "nested": {"kind": "ensemble", "members": ["both"]},
    }
    seen = []
    for seed in (0, 1):
        save_pretrained(tmp_path / "w.safetensors", recipe(source).fit(source, seed))
        seen.append({name: built.config for name, built in build_recipes(recipes, study).items()})
    for name in recipes:
        assert seen[0][name] != seen[1][name], name
    members = seen[0]["both"]["members"]
    assert members == {"net": seen[0]["net"], "tree": seen[0]["tree"]}
    assert members["net"]["init_digest"] == members["tree"]["networks"]["features"]["init_digest"]


def test_a_mapped_source_network_is_used_as_it_is(make_study, ckpt):
    study = make_study(points=200, patients=12)
    fitted = recipe(study, BACTERIA, init={"from": ckpt}, head="mapped").fit(study, 0)
    table = fitted.mapping.tables["disease"]
    assert table.shape == (30, 2)
    np.testing.assert_allclose(table.sum(axis=1), 1)
    with seeded(0):
        plain = build_backbone("bacteria_resnet", 1, 1, **STAGES)
    plain.load_published(published())
    assert equal(
        fitted.network, torch.nn.ModuleDict({"backbones": torch.nn.ModuleDict({"raman": plain})}), "backbones."
    )
    again = type(fitted).from_state(*fitted.state())
    assert again.predict_proba(study)["disease"].tobytes() == fitted.predict_proba(study)["disease"].tobytes()
    assert any("of 30 source classes, most likely" in note for note in fitted.notes)


def test_a_source_that_knows_the_answer_is_mapped_to_it(make_study, tmp_path):
    source = of_others(make_study, patients=20, effect=4.0)
    training = {"epochs": 12, "batch_size": 8, "lr": 0.01}
    wide = {"raman": {"name": "cnn", "width": 8}}
    save_pretrained(tmp_path / "w.safetensors", recipe(source, backbones=wide, training=training).fit(source, 0))
    study = make_study(patients=10, effect=4.0)
    labels = (1 - study.labels).set_axis(["health"], axis=1)
    turned = replace(study, labels=labels, tasks={"health": Task(("ill", "well"))})
    fitted = recipe(turned, backbones=wide, init={"from": tmp_path / "w.safetensors"}, head="mapped").fit(turned, 0)
    found = fitted.predict_proba(turned)["health"]
    assert (found.argmax(axis=1) == turned.label_codes("health")).mean() > 0.9
    assert not fitted.history


def test_several_heads_need_a_name_to_be_mapped(make_study, tmp_path):
    source = of_others(make_study)
    two = replace(
        source, tasks={**source.tasks, "b": Task(("x", "y"))}, labels=source.labels.assign(b=source.labels["disease"])
    )
    save_pretrained(tmp_path / "w.safetensors", recipe(two).fit(two, 0))
    study, init = make_study(), {"from": tmp_path / "w.safetensors"}
    with pytest.raises(ConfigError, match=r"several heads \(disease, b\): name one with"):
        recipe(study, init=init, head="mapped")
    with pytest.raises(ConfigError, match="unknown head of the weights 'c'"):
        recipe(study, init=init | {"head": "c"}, head="mapped")
    assert recipe(study, init=init | {"head": "b"}, head="mapped").fit(study, 0).mapping.source == "b"
    with pytest.raises(ConfigError, match="uses a network as it is"):
        recipe(study, head="mapped")


def test_paths_start_at_the_study_file(tmp_path):
    network = CONFIG | {"init": {"from": "w.ckpt"}, "pretrain": {"method": "supervised", "study": OWN}}
    config = Config.model_validate(
        {
            "study": {"dataset": "als-saliva"},
            "recipes": {
                "a": network,
                "b": {"kind": "features", "model": "svm", "features": {"from": "a", "stage": "embedding"}},
                "c": {"kind": "ensemble", "members": ["a", "d"]},
                "d": {"kind": "classical", "model": "svm"},
            },
        }
    )
    found = with_absolute_paths(config.recipes, tmp_path)
    for net in (found["a"], found["b"].features["features"].network, found["c"].members["a"]):
        assert net.init.source == tmp_path / "w.ckpt"
        assert net.pretrain.study.samples == tmp_path / "others" / "samples.csv"
        assert net.pretrain.study.name == "others"
    assert found["d"] == config.recipes["d"]


OWN = {
    "samples": "others/samples.csv",
    "modalities": {"raman": {"kind": "spectra", "column": "file"}},
    "tasks": {"disease": {"column": "disease", "classes": ["no", "yes"]}},
}


def test_a_source_of_plain_weights_says_nothing_of_whom_it_saw(ckpt):
    source = read_source(InitConfig(source=ckpt))
    assert source.seen.unknown == (str(ckpt),)
    assert not source.seen.patients
