"""Everything that models and training offer, through the configuration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from polydx.errors import ConfigError
from polydx.preprocessing.pipeline import build_pipeline
from polydx.recipes.build import build_recipes
from polydx.recipes.network import FittedNetwork
from polydx.recipes.network_inputs import channel_steps, fit_network_inputs
from polydx.recipes.network_plan import build_losses, build_task_weights, training_options
from polydx.study import Task
from polydx.training.losses import (
    BinaryWithLogits,
    CrossEntropy,
    Focal,
    LearnedTaskWeights,
    OrdinalCrossEntropy,
    SoftLabels,
)
from polydx.training.tensors import tensor_set

CONFIG = {
    "kind": "network",
    "backbones": {"raman": {"name": "cnn", "width": 4}},
    "preprocessing": {"raman": ["snv"]},
    "training": {"epochs": 2, "batch_size": 8, "patience": None},
}
DERIVATIVE = {"savitzky_golay": {"window": 7, "order": 2, "derivative": 1}}


def recipe(study, **changes):
    return build_recipes({"net": CONFIG | changes}, study)["net"]


def staged(make_study, **options):
    """A second, ordinal task of samples."""
    study = make_study(**options)
    tasks = {"disease": Task(("no", "yes")), "stage": Task(("T1", "T2", "T3"), level="sample", ordinal=True)}
    return replace(study, tasks=tasks, labels=study.labels.assign(stage=np.arange(len(study)) % 3))


@pytest.mark.parametrize(
    "training",
    [
        {"loss": "focal"},
        {"loss": {"name": "focal", "gamma": 1.0}, "class_weights": {"stage": [1, 2, 3]}},
        {"losses": {"disease": "binary", "stage": {"name": "ordinal", "spread": 0.3}}},
        {"losses": {"disease": {"name": "soft_label", "targets": [[0.9, 0.1], [0.2, 0.8]]}}},
        {"label_smoothing": 0.1, "task_weights": "learned"},
        {"mixup": 0.5, "schedule": "step", "step_every": 1, "warmup": 0.5, "betas": [0.5, 0.999]},
        {"optimiser": "sgd", "momentum": 0.5, "oversample": "patient"},
        {"oversample": "class", "precision": "bf16-mixed", "gradient_clip": 1.0, "layer_lr_decay": 0.7},
        {"batch_size": 23},
    ],
)
def test_every_kind_of_training_gives_probabilities_and_repeats_to_the_byte(make_study, training):
    study = staged(make_study)
    own = recipe(study, training=CONFIG["training"] | training)
    found = own.fit(study, 3).predict_proba(study)
    assert {t: p.shape for t, p in found.items()} == {"disease": (24, 2), "stage": (24, 3)}
    for p in found.values():
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
    again = own.fit(study, 3).predict_proba(study)
    assert all(found[t].tobytes() == again[t].tobytes() for t in found)
    plain = recipe(study).fit(study, 3).predict_proba(study)
    assert any(found[t].tobytes() != plain[t].tobytes() for t in found)


def test_the_losses_are_those_that_were_asked_for(make_study):
    study = staged(make_study)
    rows = tensor_set(
        {"raman": study.spectra("raman").values}, {t: study.label_codes(t) for t in study.tasks}, study.patients
    )

    def losses(**training):
        return build_losses(recipe(study, training=training).schema.training, study.tasks, rows)

    found = losses(losses={"disease": {"name": "binary", "positive_weight": 3.0}, "stage": "ordinal"})
    assert isinstance(found["disease"], BinaryWithLogits)
    assert found["disease"].positive_weight == 3.0
    assert isinstance(found["stage"], OrdinalCrossEntropy)
    focal = losses(loss={"name": "focal", "gamma": 1.5}, class_weights="none")["disease"]
    assert isinstance(focal, Focal)
    assert (focal.gamma, focal.class_weights) == (1.5, None)
    soft = losses(losses={"disease": {"name": "soft_label", "targets": [[0.9, 0.1], [0.2, 0.8]]}})["disease"]
    assert isinstance(soft, SoftLabels)
    np.testing.assert_allclose(soft.targets.numpy(), [[0.9, 0.1], [0.2, 0.8]])
    given = losses(class_weights={"stage": [1, 2, 3]}, label_smoothing=0.2)
    assert isinstance(given["stage"], CrossEntropy)
    assert given["stage"].class_weights.tolist() == [1, 2, 3]
    assert (given["stage"].smoothing, given["disease"].class_weights) == (0.2, None)
    assert losses(oversample="class")["disease"].class_weights is None
    assert losses()["disease"].class_weights is not None


def test_task_weights_are_fixed_or_learned(make_study):
    study = staged(make_study)
    training = recipe(study, training={"task_weights": {"stage": 0.5}}).schema.training
    assert build_task_weights(training, study.tasks) == {"stage": 0.5}
    training = recipe(study, training={"task_weights": "learned"}).schema.training
    learned = build_task_weights(training, study.tasks)
    assert isinstance(learned, LearnedTaskWeights)
    assert set(learned.log_variance) == {"disease", "stage"}


def test_options_reach_the_fit(make_study):
    asked = {
        "epochs": 7, "batch_size": 9, "lr": 0.02, "weight_decay": 0.3, "optimiser": "adam", "betas": [0.5, 0.9],
        "schedule": "step", "warmup": 2.0, "step_every": 3, "step_factor": 0.1, "oversample": "class", "mixup": 0.4,
        "layer_lr_decay": 0.8, "gradient_clip": 2.0, "patience": 4,
    }  # fmt: skip
    training = recipe(make_study(), training=asked).schema.training
    options = training_options(training, training, unfreeze_every=2)
    assert {k: getattr(options, k) for k in asked} == asked | {"betas": (0.5, 0.9)}
    assert options.unfreeze_every == 2


def test_a_binary_head_has_one_logit_for_the_second_class(make_study):
    study = make_study(patients=16, effect=4.0)
    training = {"epochs": 12, "batch_size": 8, "lr": 0.01, "loss": "binary"}
    fitted = recipe(study, backbones={"raman": {"name": "cnn", "width": 8}}, training=training).fit(study, 0)
    assert fitted.network.head("disease").classes == 1
    found = fitted.predict_proba(study)["disease"]
    assert (found.argmax(axis=1) == study.label_codes("disease")).mean() > 0.9
    again = FittedNetwork.from_state(*fitted.state())
    assert again.predict_proba(study)["disease"].tobytes() == found.tobytes()


def test_necks_fusion_and_heads_are_taken_from_the_configuration(make_study):
    study = make_study()
    fitted = recipe(
        study,
        neck="max",
        necks={"raman": {"name": "attention", "hidden": 3}},
        backbones={"raman": {"name": "cnn", "width": 4, "multipliers": [1, 2]}},
        heads={"disease": {"hidden": [6], "batch_norm": True, "init_sd": 0.01}},
        training={"epochs": 1, "batch_size": 8, "lr": 1e-9, "weight_decay": 0, "patience": None},
    ).fit(study, 0)
    assert fitted.network.necks["raman"].score[0].out_features == 3
    assert fitted.network.head("disease").layers.hidden1.linear.weight.std() < 0.02


def test_channels_are_pipelines_side_by_side_each_with_its_own_scale(make_study):
    study = make_study()
    own = recipe(study, preprocessing={"raman": {"channels": [["snv"], [DERIVATIVE]]}})
    inputs = fit_network_inputs(study, channel_steps(own.schema))
    found = inputs.tensors(study)[0]["raman"].numpy()
    spectra = study.spectra("raman")
    for i, steps in enumerate(own.schema.preprocessing["raman"].channels):
        expected = build_pipeline(steps, spectra.axis).fit_transform(spectra.values)
        np.testing.assert_allclose(found[:, i], (expected - expected.mean()) / expected.std(), atol=1e-5)
    fitted = own.fit(study, 0)
    assert fitted.plan["shapes"] == {"raman": [2, 60]}
    again = FittedNetwork.from_state(*fitted.state())
    assert again.predict_proba(study)["disease"].tobytes() == fitted.predict_proba(study)["disease"].tobytes()


def test_stages_can_be_frozen_and_unfrozen(make_study):
    study = make_study()
    own = recipe(
        study,
        freeze=["raman.stem", "raman.stage1"],
        unfreeze={"every": 1},
        training={"epochs": 9, "batch_size": 8, "patience": None},
    )
    before, fitted = own.start(study, 0).fitted.network.state_dict(), own.fit(study, 0)
    same = {k.split(".")[2] for k, v in fitted.network.state_dict().items() if torch.equal(v, before[k])}
    assert same == {"stem", "stage1"}
    whole = recipe(study, freeze=["raman"])
    before, fitted = whole.start(study, 0).fitted.network.state_dict(), whole.fit(study, 0)
    differ = {k.split(".")[0] for k, v in fitted.network.state_dict().items() if not torch.equal(v, before[k])}
    assert differ == {"heads"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": {"loss": "focall"}}, "loss +unknown loss 'focall'"),
        ({"training": {"loss": {"name": "focal", "gama": 1}}}, "did you mean 'gamma'"),
        ({"training": {"loss": {"name": "focal", "gamma": "a"}}}, "focal.gamma: expected"),
        ({"training": {"loss": "ordinal"}}, "needs a task with `ordinal: true`"),
        ({"training": {"losses": {"stage": "binary"}}}, "losses.stage +the loss binary is for tasks of two classes"),
        (
            {"training": {"losses": {"stage": {"name": "soft_label", "targets": [[1, 0], [0, 1]]}}}},
            "must be 3 rows of 3",
        ),
        (
            {"training": {"losses": {"disease": {"name": "soft_label", "targets": [[0.9, 0.2], [0, 1]]}}}},
            "2 rows of 2 probabilities that sum to 1",
        ),
        ({"training": {"loss": "soft_label"}}, "targets"),
        ({"training": {"loss": "focal", "label_smoothing": 0.1}}, "label_smoothing belongs to the loss cross_entropy"),
        ({"training": {"losses": {"grade": "focal"}}}, "'grade' is none of disease, stage"),
        ({"training": {"class_weights": {"stage": [1, 2]}}}, "expected 3 weights, found 2"),
        ({"training": {"schedule": "onecycle", "warmup": 1}}, "onecycle brings its own warm-up"),
        ({"training": {"precision": "16-mixed"}}, "needs `accelerator: cuda`"),
        ({"necks": {"image": "max"}}, "necks.image +'image' is none of raman"),
        ({"fusion": "sum"}, "unknown fusion 'sum'"),
        ({"freeze": ["raman.stage9"]}, "unknown stage 'raman.stage9'; did you mean 'raman.stage"),
        (
            {"preprocessing": {"raman": {"channels": [["snv"], [{"crop": {"low": 900}}]]}}},
            "channel 0 has 60 points, channel 1 42",
        ),
        ({"preprocessing": {"raman": {"channels": [["snv"], ["snvv"]]}}}, "did you mean 'snv'"),
        (
            {"preprocessing": {"raman": {"channels": [[{"crop": {"high": 1500}}], [{"crop": {"low": 700}}]]}}},
            "channels 0 and 1 end on different axes",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_fitted(make_study, change, message):
    with pytest.raises(ConfigError, match=message):
        recipe(staged(make_study), **change)
