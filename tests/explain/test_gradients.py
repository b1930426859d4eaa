from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients, LayerAttribution, LayerGradCam

from polydx.errors import ConfigError
from polydx.explain.choice import targets
from polydx.explain.gradients import cell_centres, grad_cam, integrated_gradients, reference_input
from polydx.explain.networks import class_score, rows_into
from polydx.explain.spectral import explain_spectra
from polydx.explain.subjects import Subject


def scored(fitted, code):
    return lambda x: class_score(fitted.network({"raman": x})["disease"], code)


@pytest.mark.slow
def test_integrated_gradients_are_captum_s_and_add_up_to_what_the_score_gains(subject):
    own = subject("cnn")
    (target,) = targets(own.test, "disease")
    found = integrated_gradients()(own, own.test, "raman", target)
    x = own.fitted.inputs.tensors(own.test)[0]["raman"]
    baseline = reference_input(own.fitted, own.train, "raman", target)
    theirs = IntegratedGradients(scored(own.fitted, target.code)).attribute(x, baseline[None], n_steps=32)
    np.testing.assert_allclose(found, theirs.sum(dim=1).detach().numpy(), atol=1e-4)
    with torch.no_grad():
        gain = scored(own.fitted, target.code)(x) - scored(own.fitted, target.code)(baseline[None])
    np.testing.assert_allclose(found.sum(axis=1), gain.numpy(), atol=0.05 * float(gain.abs().max()))
    cooler = replace(own, fitted=replace(own.fitted, temperatures={"disease": 2.0}))
    for method in (integrated_gradients(), grad_cam("stage2")):  # as the log-odds of its answers are halved
        whole, half = (method(s, own.test, "raman", target) for s in (own, cooler))
        np.testing.assert_allclose(half, whole / 2, atol=1e-5)


def test_grad_cam_without_a_reference_is_captum_s_at_the_cells(subject):
    own = subject("cnn")
    (target,) = targets(own.test, "disease", reference="none")
    found = grad_cam("stage2")(own, own.test, "raman", target)
    tensors = own.fitted.inputs.tensors(own.test)[0]
    layer = own.fitted.network.backbone("raman").stage2
    cells = LayerGradCam(scored(own.fitted, target.code), layer).attribute(tensors["raman"], relu_attributions=True)
    centres = cell_centres(rows_into(own.fitted, own.test, "raman"), "stage2")
    wide = [np.interp(np.arange(701), centres, row) for row in cells.detach().double().numpy()[:, 0, 0]]
    np.testing.assert_allclose(found, wide, atol=1e-5)
    even = LayerAttribution.interpolate(cells[:, :, 0], (701,), "linear")
    assert even.shape == (len(found), 1, 701)  # spread evenly, as Captum does, the same cells stand elsewhere


def test_cells_stand_where_a_single_spike_moves_them_most(subject):
    own = subject("cnn")
    tensors = own.fitted.inputs.tensors(own.test)[0]
    centres = cell_centres(rows_into(own.fitted, own.test, "raman"), "stage1")
    x = tensors["raman"][:1]
    with torch.no_grad():
        plain = own.fitted.network.features({"raman": x}, "raman.stage1")[0]
        moved = []
        for point in range(200, 500, 8):
            spiked = x.clone()
            spiked[..., point] += 5.0
            change = (own.fitted.network.features({"raman": spiked}, "raman.stage1")[0] - plain).square().sum(dim=0)
            moved.append(float((change.numpy() * centres).sum() / change.sum()) - point)
    assert abs(np.mean(moved)) < 1.5


def test_a_map_says_nothing_where_the_axis_was_cropped_and_keeps_its_wavenumbers(subject):
    own = subject("cropped")
    (target,) = targets(own.test, "disease")
    axis = own.test.spectra("raman").axis
    for method in (integrated_gradients(8), grad_cam("stem")):
        found = method(own, own.test, "raman", target)
        inside = (axis >= 602) & (axis <= 1700)
        assert np.isfinite(found[:, inside]).all()
        assert np.isnan(found[:, ~inside]).all()
    (mapped,) = explain_spectra([own], integrated_gradients(8), "raman", [target])
    assert mapped.patients == 5
    assert np.isnan(mapped.sd).all()
    assert mapped.correlation is None


def test_the_score_of_a_class_is_its_log_odds():
    logits = torch.tensor([[0.3, -1.0, 2.0]], dtype=torch.float64)
    p = torch.softmax(logits, dim=1)[0, 1]
    assert float(class_score(logits, 1)) == pytest.approx(float(torch.log(p / (1 - p))))
    assert float(class_score(torch.tensor([[1.5]]), 1)) == 1.5
    assert float(class_score(torch.tensor([[1.5]]), 0)) == -1.5


def test_gradients_are_refused_where_there_are_none(subject):
    own = subject("logistic")
    (target,) = targets(own.test, "disease")
    with pytest.raises(ConfigError, match="`grad_cam` follows gradients, and this recipe is no network"):
        grad_cam()(own, own.test, "raman", target)
    network = subject("cnn")
    with pytest.raises(ConfigError, match="the network takes raman, not 'infrared'"):
        grad_cam()(network, network.test, "infrared", target)
    (alone,) = targets(own.test, "disease", reference="none")
    with pytest.raises(ConfigError, match="`integrated_gradients` starts from a reference"):
        integrated_gradients()(network, network.test, "raman", alone)
    mapped = Subject(network.fitted, network.train, network.test)
    mapped.fitted.mapping, kept = object(), mapped.fitted.mapping
    try:
        with pytest.raises(ConfigError, match="classes of this network are mapped"):
            integrated_gradients()(mapped, network.test, "raman", target)
    finally:
        mapped.fitted.mapping = kept


def test_columns_that_are_no_wavenumbers_have_no_map(make_study):
    from polydx.recipes.build import build_recipes

    study = make_study()
    config = {
        "kind": "network", "backbones": {"raman": {"name": "mlp", "hidden": [4]}},
        "preprocessing": {"raman": ["standardise", {"pca": {"components": 4}}]}, "training": {"epochs": 1},
    }  # fmt: skip
    fitted = build_recipes({"mlp": config}, study)["mlp"].fit(study, 0)
    (target,) = targets(study, "disease")
    with pytest.raises(ConfigError, match="is on no wavenumber axis \\(after `pca` or a selection\\)"):
        integrated_gradients(2)(Subject(fitted, study, study), study, "raman", target)
