"""The optimisers take the steps that torch's plain ones take."""

import copy

import pytest
import torch

from polydx.training.options import TrainingOptions
from polydx.training.schedule import build_optimiser

KINDS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


@pytest.mark.parametrize("kind", KINDS)
def test_fused_steps_on_a_cpu_are_those_of_the_plain_optimiser(kind):
    torch.manual_seed(0)
    ours = torch.nn.Sequential(torch.nn.Linear(7, 50), torch.nn.Tanh(), torch.nn.Linear(50, 3))
    theirs = copy.deepcopy(ours)
    options = TrainingOptions(optimiser=kind, lr=0.01, weight_decay=0.1, betas=(0.8, 0.9))
    fused = build_optimiser(ours.parameters(), options)
    plain = KINDS[kind](theirs.parameters(), lr=0.01, weight_decay=0.1, betas=(0.8, 0.9), fused=False, foreach=False)
    for x in torch.randn(20, 5, 7):
        for network, optimiser in ((ours, fused), (theirs, plain)):
            optimiser.zero_grad()
            network(x).square().sum().backward()
            optimiser.step()
    assert fused.defaults["fused"] is True
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_steps_are_not_fused_where_clipping_in_half_precision_may_follow():
    """Fabric refuses to clip with 16-mixed when the optimiser unscales the gradients itself."""
    options = TrainingOptions(accelerator="cuda", precision="16-mixed", gradient_clip=1.0)
    assert not build_optimiser([torch.nn.Parameter(torch.zeros(2))], options).defaults["fused"]
