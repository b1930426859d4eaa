import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional

from polydx.training.losses import (
    BinaryWithLogits,
    CrossEntropy,
    Focal,
    LearnedTaskWeights,
    SoftLabels,
    balanced_class_weights,
    multitask_loss,
)


def plain_cross_entropy(logits, label, weights, smoothing):
    p = np.exp(logits) / np.exp(logits).sum()
    target = np.full(len(p), smoothing / len(p))
    target[label] += 1 - smoothing
    return float(-(weights * target * np.log(p)).sum())


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_matches_its_formula_row_by_row(smoothing):
    logits, labels, weights = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0]), np.array([1.0, 2.0, 0.5])
    found = CrossEntropy(weights, smoothing)(logits, labels)
    expected = [
        plain_cross_entropy(row, int(label), weights, smoothing)
        for row, label in zip(logits.double().numpy(), labels, strict=True)
    ]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_soft_labels_that_are_certain_equal_codes():
    logits, labels = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    soft = functional.one_hot(labels, 3).float()
    torch.testing.assert_close(CrossEntropy()(logits, soft), CrossEntropy()(logits, labels))


def test_the_soft_label_loss_is_the_cross_entropy_against_the_row_of_the_class():
    logits, labels, weights = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0]), np.array([1.0, 2.0, 0.5])
    targets = np.array([[0.8, 0.2, 0.0], [0.1, 0.7, 0.2], [0.0, 0.4, 0.6]])
    log_p = torch.log_softmax(logits.double(), dim=1).numpy()
    expected = [-weights[y] * (targets[y] * row).sum() for y, row in zip(labels.tolist(), log_p, strict=True)]
    np.testing.assert_allclose(SoftLabels(targets, weights)(logits, labels).numpy(), expected, rtol=1e-5)
    torch.testing.assert_close(SoftLabels(np.eye(3))(logits, labels), CrossEntropy()(logits, labels))


def test_focal_without_focus_is_the_cross_entropy():
    logits, labels = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    torch.testing.assert_close(Focal(0.0)(logits, labels), CrossEntropy()(logits, labels))


def test_focal_weighs_a_row_by_what_is_missing_to_certainty():
    logits, labels = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    p = torch.softmax(logits, dim=1)[torch.arange(5), labels]
    weights = torch.tensor([1.0, 3.0, 0.5])
    expected = -weights[labels] * (1 - p) ** 2 * p.log()
    torch.testing.assert_close(Focal(2.0, weights.numpy())(logits, labels), expected)


def test_the_binary_loss_of_one_logit_is_the_two_class_cross_entropy():
    logit, labels = torch.randn(6, 1), torch.tensor([0, 1, 1, 0, 1, 0])
    expected = CrossEntropy()(torch.cat([torch.zeros(6, 1), logit], dim=1), labels)
    torch.testing.assert_close(BinaryWithLogits()(logit, labels), expected)
    doubled = BinaryWithLogits(2.0)(logit, labels)
    torch.testing.assert_close(doubled, expected * torch.where(labels == 1, 2.0, 1.0))


def test_rows_without_a_label_add_nothing():
    logits = {"a": torch.randn(4, 2), "b": torch.randn(4, 3)}
    labels = {"a": torch.tensor([0, -1, 1, -1]), "b": torch.tensor([-1, 2, -1, -1])}
    total, per_task = multitask_loss(logits, labels, {"a": CrossEntropy(), "b": CrossEntropy()})
    expected_a = functional.cross_entropy(logits["a"][[0, 2]], torch.tensor([0, 1]))
    expected_b = functional.cross_entropy(logits["b"][[1]], torch.tensor([2]))
    torch.testing.assert_close(per_task, {"a": expected_a, "b": expected_b})
    torch.testing.assert_close(total, expected_a + expected_b)


def test_a_task_without_any_label_adds_zero_and_zero_gradients():
    a, b = nn.Linear(3, 2), nn.Linear(3, 2)
    x = torch.randn(4, 3)
    labels = {"a": torch.tensor([0, 1, 0, 1]), "b": torch.full((4,), -1)}
    total, per_task = multitask_loss({"a": a(x), "b": b(x)}, labels, {"a": CrossEntropy(), "b": CrossEntropy()})
    total.backward()
    assert set(per_task) == {"a"}
    torch.testing.assert_close(total, per_task["a"])
    assert torch.equal(b.weight.grad, torch.zeros(2, 3))
    assert a.weight.grad.any()


def test_infinite_logits_of_a_task_without_labels_do_no_harm():
    logits = {"a": torch.randn(2, 2), "b": torch.full((2, 2), float("inf"))}
    labels = {"a": torch.tensor([0, 1]), "b": torch.tensor([-1, -1])}
    total, per_task = multitask_loss(logits, labels, {"a": CrossEntropy(), "b": CrossEntropy()})
    assert torch.equal(total, per_task["a"])


def test_a_batch_without_any_label_gives_zero():
    total, per_task = multitask_loss({"a": torch.randn(4, 2)}, {"a": torch.full((4,), -1)}, {"a": CrossEntropy()})
    assert (float(total), per_task) == (0.0, {})


def test_soft_labels_of_zero_count_as_missing():
    logits, soft = torch.randn(3, 2), torch.tensor([[0.3, 0.7], [0.0, 0.0], [1.0, 0.0]])
    total, _ = multitask_loss({"a": logits}, {"a": soft}, {"a": CrossEntropy()})
    torch.testing.assert_close(total, functional.cross_entropy(logits[[0, 2]], soft[[0, 2]]))


def test_sample_weights_weigh_the_mean():
    logits, labels, weights = torch.randn(3, 2), torch.tensor([0, 1, 0]), torch.tensor([1.0, 0.0, 3.0])
    total, _ = multitask_loss({"a": logits}, {"a": labels}, {"a": CrossEntropy()}, sample_weights=weights)
    rows = CrossEntropy()(logits, labels)
    torch.testing.assert_close(total, (rows[0] + 3 * rows[2]) / 4)
    nothing, _ = multitask_loss({"a": logits}, {"a": labels}, {"a": CrossEntropy()}, sample_weights=torch.zeros(3))
    assert float(nothing) == 0.0


def test_task_weights_weigh_the_sum():
    logits = {"a": torch.randn(4, 2), "b": torch.randn(4, 2)}
    labels = {"a": torch.tensor([0, 1, 0, 1]), "b": torch.tensor([1, 1, 0, 0])}
    losses = {"a": CrossEntropy(), "b": CrossEntropy()}
    total, per_task = multitask_loss(logits, labels, losses, {"a": 3.0})
    torch.testing.assert_close(total, 3 * per_task["a"] + per_task["b"])


def test_learned_weights_settle_where_the_variance_equals_twice_the_loss():
    """exp(-s) L + s / 2 is least at exp(s) = 2 L."""
    weights, loss = LearnedTaskWeights(["a"]), torch.tensor(0.8)
    optimiser = torch.optim.SGD(weights.parameters(), lr=0.2)
    for _ in range(200):
        optimiser.zero_grad()
        weights("a", loss).backward()
        optimiser.step()
    assert float(weights.log_variance["a"].detach().exp()) == pytest.approx(1.6, rel=1e-3)


def test_learned_weights_of_a_task_without_labels_do_not_move():
    weights = LearnedTaskWeights(["a", "b"])
    logits = {"a": torch.randn(2, 2), "b": torch.randn(2, 2)}
    labels = {"a": torch.tensor([0, 1]), "b": torch.tensor([-1, -1])}
    total, _ = multitask_loss(logits, labels, {"a": CrossEntropy(), "b": CrossEntropy()}, weights)
    total.backward()
    assert weights.log_variance["a"].grad is not None
    assert weights.log_variance["b"].grad is None


def test_balanced_weights_match_scikit_learn():
    labels = np.array([0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(balanced_class_weights(np.append(labels, -1), 3), expected, rtol=1e-6)


def test_balanced_weights_by_patient_count_patients():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, -1])
    patients = np.array(["p", "p", "p", "p", "q", "r", "s", "t"])
    expected = compute_class_weight("balanced", classes=np.arange(2), y=[0, 1, 1, 1])
    np.testing.assert_allclose(balanced_class_weights(labels, 2, patients), expected, rtol=1e-6)


def test_a_class_without_rows_has_weight_one():
    assert balanced_class_weights([0, 0, 2], 4)[[1, 3]].tolist() == [1.0, 1.0]
