import numpy as np
import pytest
import torch

from polydx.training.variants import Variant


def noise(x, generator):
    return x + 0.5 * torch.randn(x.shape, generator=generator)


def test_a_variant_depends_on_its_row_and_number_alone(rng):
    x = torch.from_numpy(rng.normal(size=(20, 1, 64)).astype(np.float32))
    first, second = Variant(x, noise, 0), Variant(x, noise, 1)
    assert torch.equal(first[3:9], first[torch.tensor([3, 4, 5, 6, 7, 8])])
    assert torch.equal(Variant(x.flip(0), noise, 0)[:].flip(0), first[:])
    assert not torch.equal(first[:], second[:])
    assert float((first[:] - x).std()) == pytest.approx(0.5, rel=0.1)
    assert first[5:5].shape == (0, 1, 64)
