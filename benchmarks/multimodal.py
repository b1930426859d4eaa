"""Training of a network of three modalities: polydx with bags and gaps, against a plain loop over whole batches.

    python benchmarks/multimodal.py [--rounds 7] [--threads 1]

240 samples of 3 spectra (351 points), one image (3 x 32 x 32) and 10 values of a table; batches of 32. The plain loop
calls the same backbones on dense tensors, averages the three spectra by a reshape, and knows neither bags nor masks.
The loops take turns, an epoch each; a ratio is the median over the rounds of (time of the plain epoch / time of the
epoch next to it), with the quartiles: another job on the machine slows neighbours alike. `gaps` is polydx with 30 % of
the modalities missing at random, which leaves so much less to compute.
"""

import argparse
import logging
import time

import numpy as np
import torch
from torch.nn import functional

from polydx.models.bags import Bags
from polydx.models.network import build_network
from polydx.training.loop import Fit
from polydx.training.options import TrainingOptions
from polydx.training.tensors import TensorSet

COUNT, EACH, BATCH, RATE = 240, 3, 32, 1e-3
CNN = {"name": "cnn", "width": 16}


def network():
    return build_network(
        {"raman": (1, 351), "image": (3, 32, 32), "clinical": (10,)},
        backbones={
            "raman": {"name": "cnn", "width": 16},
            "image": {"name": "cnn", "width": 16},
            "clinical": {"name": "mlp"},
        },
        heads={"disease": {"classes": 2}},
        seed=0,
    )


def arrays():
    generator = torch.Generator().manual_seed(0)
    return {
        "raman": torch.randn(COUNT * EACH, 1, 351, generator=generator),
        "image": torch.randn(COUNT, 3, 32, 32, generator=generator),
        "clinical": torch.randn(COUNT, 10, generator=generator),
    }


def bags(share_missing):
    generator = torch.Generator().manual_seed(1)
    there = torch.rand(COUNT, 3, generator=generator) >= share_missing
    there[:, 0] |= ~there.any(dim=1)
    whole = {n: Bags(x, torch.arange(0, len(x) + 1, len(x) // COUNT)) for n, x in arrays().items()}
    return {name: x.only(there[:, i]) for i, (name, x) in enumerate(whole.items())}


class Plain:
    """A loop over the same parts, written for dense batches."""

    def __init__(self):
        self.network = network().train()
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=RATE, fused=True)
        self.x, self.labels = arrays(), torch.arange(COUNT) % 2
        self.x["raman"] = self.x["raman"].reshape(COUNT, EACH, 1, 351)

    def epoch(self):
        for rows in torch.randperm(COUNT).split(BATCH):
            self.optimiser.zero_grad()
            spectra = self.network.backbone("raman")(self.x["raman"][rows].flatten(0, 1)).mean(dim=2)
            vectors = [
                spectra.reshape(len(rows), EACH, -1).mean(dim=1),
                self.network.backbone("image")(self.x["image"][rows]).mean(dim=(2, 3)),
                self.network.backbone("clinical")(self.x["clinical"][rows]).mean(dim=2),
            ]
            logits = self.network.heads["disease"](torch.cat(vectors, dim=1))
            functional.cross_entropy(logits, self.labels[rows]).backward()
            self.optimiser.step()


def own(share_missing):
    rows = TensorSet(bags(share_missing), {"disease": torch.arange(COUNT) % 2})
    return Fit(network(), rows, options=TrainingOptions(epochs=1000, batch_size=BATCH, lr=RATE), seed=0)


def timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    logging.disable(logging.INFO)
    torch.set_num_threads(asked.threads)
    plain, runs = Plain(), {"whole": own(0.0), "gaps": own(0.3)}
    for run in (plain, *runs.values()):
        run.epoch()
    ratios = {name: [] for name in runs}
    speeds = []
    for _ in range(asked.rounds):
        for name, run in runs.items():
            before = timed(plain.epoch)
            speeds.append(COUNT / before)
            ratios[name].append(before / timed(run.epoch))
    print(f"plain  {np.median(speeds):6.0f} samples/s")
    for name, found in ratios.items():
        low, middle, high = np.quantile(found, [0.25, 0.5, 0.75])
        print(f"{name:6} ratio {middle:.2f} ({low:.2f}-{high:.2f})")


if __name__ == "__main__":
    main()
