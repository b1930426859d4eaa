import pytest
import torch
from torch import nn

from polydx.errors import ConfigError
from polydx.models.backbones import build_backbone
from polydx.models.heads import Head
from polydx.models.necks import build_neck
from polydx.models.network import Network, build_network
from polydx.models.summary import summarise

SHAPES = {"raman": (1, 120), "image": (3, 32, 32)}


def two_modalities(seed=0, **heads):
    return build_network(
        SHAPES,
        backbones={"raman": {"name": "cnn", "width": 4}, "image": {"name": "cnn", "width": 3}},
        necks={"raman": {"name": "flatten"}},
        heads=heads or {"als": {"classes": 2}, "stage": {"classes": 4, "hidden": [6]}},
        seed=seed,
    )


def inputs(count=3):
    return {name: torch.randn(count, *shape) for name, shape in SHAPES.items()}


def test_modalities_and_tasks_go_in_and_out_by_name():
    network, x = two_modalities(), inputs()
    logits = network(x)
    assert {task: tuple(v.shape) for task, v in logits.items()} == {"als": (3, 2), "stage": (3, 4)}
    assert network.embed(x).shape == (3, network.embedding_width)
    assert network.modalities == ("raman", "image")
    assert network.tasks == ("als", "stage")


def test_the_embedding_joins_the_modalities_in_their_order():
    network, x = two_modalities().eval(), inputs()
    raman = network.necks["raman"](network.backbone("raman")(x["raman"]))
    image = network.necks["image"](network.backbone("image")(x["image"]))
    torch.testing.assert_close(network.embed(x), torch.cat([raman, image], dim=1))


def test_parameters_have_readable_names():
    keys = set(two_modalities().state_dict())
    assert {"backbones.raman.stage1.conv.weight", "heads.als.layers.out.weight"} <= keys


def test_features_cut_one_modality_at_a_stage():
    network, x = two_modalities().eval(), inputs()
    features = network.features({"raman": x["raman"]}, "raman.stage2")
    torch.testing.assert_close(features, network.backbone("raman").features(x["raman"], "stage2"))


def test_a_network_goes_on_from_the_maps_of_some_modalities():
    network, x = two_modalities().eval(), inputs()
    maps = {"raman": network.backbone("raman").features(x["raman"], "stage2"), "image": x["image"]}
    found, whole = network(maps, {"raman": "stage2"}), network(x)
    assert all(torch.equal(found[task], whole[task]) for task in network.tasks)


def test_the_weights_of_a_network_depend_on_its_seed_alone():
    first, second, third = two_modalities(1), two_modalities(1), two_modalities(2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(third.parameters()))


def test_building_leaves_the_global_stream_alone():
    before = torch.get_rng_state()
    two_modalities()
    assert torch.equal(before, torch.get_rng_state())


def test_a_swapped_head_changes_its_task_and_nothing_else():
    network, x = two_modalities().eval(), inputs()
    before = network(x)
    network.set_head("als", Head(network.embedding_width, 5))
    after = network(x)
    assert after["als"].shape == (3, 5)
    assert torch.equal(before["stage"], after["stage"])


def test_a_head_of_another_width_is_refused():
    network = two_modalities()
    with pytest.raises(ConfigError, match="head of task 'als' takes 7 values, but the embedding has"):
        network.set_head("als", Head(7, 2))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda n: n({"ramen": inputs()["raman"]}), "takes raman, image, but the inputs are ramen"),
        (lambda n: n({}), "takes raman, image, but the inputs are none"),
        (lambda n: n.features(inputs(), "rmn.stem"), "unknown modality 'rmn'"),
        (lambda n: n.features({}, "raman.stem"), "which the input lacks"),
        (lambda n: n.head("nope"), "unknown task 'nope'"),
    ],
)
def test_what_a_network_lacks_is_named(ask, message):
    with pytest.raises(ConfigError, match=message):
        ask(two_modalities())


def test_parts_for_different_modalities_are_refused():
    backbone = build_backbone("cnn", 1, 1, width=4)
    with pytest.raises(ConfigError, match="one backbone and one neck a modality"):
        Network(backbones={"raman": backbone}, necks={"ramen": build_neck("average", (16, 4))}, heads={})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbones": {"ramen": {"name": "cnn"}}}, r"backbones are given for \['ramen'\]"),
        ({"fusion": "sum"}, "unknown fusion 'sum'"),
        ({"heads": {"a.b": {"classes": 2}}}, "without dots"),
        ({"heads": {"type": {"classes": 2}}}, "torch reserves it"),
        ({"heads": {"als": {"clases": 2}}}, "unknown option of the head of task 'als' 'clases'"),
        ({"heads": {"als": {}}}, "the head of task 'als' needs the option 'classes'"),
        ({"shapes": {"raman": (1, 2, 3, 4)}}, r"must have shape \(D,\), \(C, L\) or \(C, H, W\)"),
        ({"shapes": {"raman": (9,)}}, "unknown backbone for a table 'cnn'; expected one of mlp, ft_transformer"),
        ({"shapes": {"raman": (9,)}, "backbones": {"raman": {"name": "mlp", "points": 3}}}, "leave out `points`"),
    ],
)
def test_plans_that_do_not_fit_together_are_refused(changes, message):
    plan = {"shapes": {"raman": (1, 120)}, "backbones": {"raman": {"name": "cnn", "width": 4}}}
    plan |= {"heads": {"als": {"classes": 2}}, "seed": 0} | changes
    with pytest.raises(ConfigError, match=message):
        build_network(plan.pop("shapes"), **plan)


def test_multiply_adds_match_a_count_by_hand():
    module = nn.Sequential(nn.Conv1d(2, 3, 5, stride=2), nn.Flatten(), nn.Linear(3 * 8, 4))
    found = summarise(module, (2, 20))
    assert found.multiply_adds == 8 * 3 * (2 * 5) + 24 * 4
    assert found.parameters == (3 * 2 * 5 + 3) + (24 * 4 + 4)


def test_resnet50_costs_what_its_paper_says():
    """He et al. (2016), table 1: 3.8e9 multiply-adds; with the stride in the 3 x 3 convolutions, 4.09e9."""
    found = summarise(build_backbone("resnet", 2, 3, depth=50), (3, 224, 224))
    assert found.multiply_adds == pytest.approx(4.09e9, rel=0.01)
    assert found.parameters == 25_557_032 - 2_049_000


def test_a_transformer_is_counted_layer_by_layer():
    tokens, width = 10, 16
    found = summarise(build_backbone("transformer", 1, 1, width=width, layers=1, heads=2, patch=4), (1, 40))
    embedding, attention, perceptron = width * 4, 4 * width * width, 2 * width * 4 * width
    assert found.multiply_adds == tokens * (embedding + attention + perceptron)
