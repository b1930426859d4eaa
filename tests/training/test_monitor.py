"""What is told of a fit while it runs, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from polydx.training.monitor import metrics_of
from polydx.training.tensors import tensor_set


def rows(**labels):
    return tensor_set({"raman": np.zeros((len(next(iter(labels.values()))), 4))}, labels)


def test_accuracy_and_auroc_match_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    two = torch.tensor([0, 1, 1, -1, 0, 1, 0, 1])
    three = torch.tensor([0, 1, 2, 2, 1, 0, -1, 1])
    logits = {
        "two": torch.randn(8, 2, generator=generator).round(),
        "three": torch.randn(8, 3, generator=generator),
        "single": torch.randn(8, 1, generator=generator),
    }
    found = metrics_of(logits, rows(two=two, three=three, single=two))
    seen = two >= 0
    right = (logits["two"].argmax(dim=1) == two)[seen]
    assert found["accuracy/two"] == pytest.approx(right.double().mean().item())
    assert found["auroc/two"] == pytest.approx(
        roc_auc_score(two[seen], torch.softmax(logits["two"].double(), dim=1)[seen, 1])
    )
    assert found["auroc/single"] == pytest.approx(roc_auc_score(two[seen], logits["single"][seen, 0]))
    seen = three >= 0
    chances = torch.softmax(logits["three"].double(), dim=1)[seen]
    assert found["auroc/three"] == pytest.approx(roc_auc_score(three[seen], chances, multi_class="ovr"))


def test_what_is_undefined_is_left_out():
    found = metrics_of({"a": torch.zeros(3, 2), "b": torch.zeros(3, 2)}, rows(a=[1, 1, 1], b=[-1, -1, -1]))
    assert found == {"accuracy/a": 0.0}
