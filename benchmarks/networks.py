"""Training of 1D networks on a CPU: polydx in float32 and bf16-mixed, against a plain float32 loop over Conv1d.

    python benchmarks/networks.py [--quick] [--speed-only] [--threads 2] [--models bacteria_resnet cnn]

Batches of 32 spectra of 900 points. The three loops take turns in short blocks, and a ratio is the median over the
rounds of (time of the plain block / time of the block next to it), with the quartiles: another job on the machine slows
neighbours alike. Then all three train from the same weights on the same batches of a simulated set, for three seeds;
the plain loop shares no code with polydx but the order of the batches. The peak is that of a square matrix product.
"""

import argparse
import logging
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from polydx.models.network import build_network
from polydx.training.loop import fit
from polydx.training.options import TrainingOptions
from polydx.training.streams import shuffled_batches, streams
from polydx.training.tensors import tensor_set

POINTS, BATCH, CLASSES, RATE = 900, 32, 10, 1e-3
PRECISIONS = ("32-true", "bf16-mixed")
NECKS = {"bacteria_resnet": "flatten", "cnn": "average"}


class PlainBlock(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv1d(before, after, 5, stride, 2, bias=False)
        self.bn1 = nn.BatchNorm1d(after)
        self.conv2 = nn.Conv1d(after, after, 5, 1, 2, bias=False)
        self.bn2 = nn.BatchNorm1d(after)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(nn.Conv1d(before, after, 1, stride, bias=False), nn.BatchNorm1d(after))

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def plain_resnet():
    """Ho et al. (2019): stem 64, six stages of two blocks, 100 channels, kernel 5."""
    layers = [nn.Conv1d(1, 64, 5, 1, 2, bias=False), nn.BatchNorm1d(64), nn.ReLU()]
    before = 64
    for stride in (1, 2, 2, 2, 2, 2):
        layers += [PlainBlock(before, 100, stride), PlainBlock(100, 100, 1)]
        before = 100
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(100 * 29, CLASSES))


def plain_cnn():
    layers = [nn.Conv1d(1, 32, 7, 2, 3, bias=False), nn.MaxPool1d(2), nn.BatchNorm1d(32), nn.ReLU()]
    before = 32
    for after in (32, 64, 64, 128):
        layers += [nn.Conv1d(before, after, 3, 2, 1, bias=False), nn.BatchNorm1d(after), nn.ReLU()]
        before = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(128, CLASSES))


PLAIN = {"bacteria_resnet": plain_resnet, "cnn": plain_cnn}


def plain_fit(network, x, y, batches, monitor=None):
    """Return the mean training loss and, with monitor rows, the monitor loss of each epoch."""
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    curve = []
    for epoch in batches:
        network.train()
        total = 0.0
        for rows in epoch:
            optimiser.zero_grad()
            loss = functional.cross_entropy(network(x[rows]), y[rows])
            loss.backward()
            optimiser.step()
            total += loss.item() * len(rows)
        curve.append([total / len(x)])
        if monitor is not None:
            network.eval()
            with torch.no_grad():
                curve[-1].append(functional.cross_entropy(network(monitor[0]), monitor[1]).item())
    return curve


def our_network(name, plain):
    """The network of polydx with the weights of the plain one, whose parameters come in the same order."""
    network = build_network(
        {"raman": (1, POINTS)},
        backbones={"raman": {"name": name}},
        necks={"raman": {"name": NECKS[name]}},
        heads={"species": {"classes": CLASSES}},
        seed=0,
    )
    with torch.no_grad():
        for ours, theirs in zip(network.parameters(), plain.parameters(), strict=True):
            ours.copy_(theirs.view_as(ours))
    return network


def simulated(rows, seed):
    """Spectra of ten species that share bands in different strengths, under noise and a wandering background."""
    species = np.random.default_rng(0)
    axis = np.linspace(0, 1, POINTS)
    bands = np.exp(-(((axis - species.uniform(0, 1, (20, 1))) / 0.008) ** 2))
    strengths = species.uniform(0.5, 1.5, (CLASSES, 20))
    rng = np.random.default_rng(seed)
    y = rng.integers(CLASSES, size=rows)
    x = (strengths[y] * rng.uniform(0.6, 1.4, (rows, 20))) @ bands
    x += rng.normal(0, 0.3, x.shape) + rng.normal(0, 1, (rows, 1)) * axis
    return ((x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)).astype(np.float32), y


def peak(dtype, repeats, size=2048):
    """GFLOP/s of the quickest of `repeats` products."""
    a = torch.randn(size, size).to(dtype)
    return 2 * size**3 / min(seconds(lambda: a @ a) for _ in range(repeats + 1)) / 1e9


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def speeds(name, rows, rounds):
    """Print spectra a second of the three loops and their ratios, from blocks of `rows` spectra in turns."""
    values, labels = simulated(rows, seed=1)
    data = tensor_set({"raman": values}, {"species": labels})
    x, y = data.inputs["raman"], data.labels["species"]
    plain = PLAIN[name]()
    loops = {"plain": lambda: plain_fit(plain, x, y, [torch.randperm(rows).split(BATCH)])}
    for precision in PRECISIONS:
        network, options = our_network(name, plain), TrainingOptions(epochs=1, batch_size=BATCH, precision=precision)
        loops[precision] = lambda network=network, options=options: fit(network, data, options=options, seed=0)
    for loop in loops.values():
        loop()
    times = np.array([[seconds(loop) for loop in loops.values()] for _ in range(rounds)])
    for column, loop in enumerate(loops):
        low, middle, high = np.quantile(times[:, 0] / times[:, column], (0.25, 0.5, 0.75))
        rate, best = rows / np.median(times[:, column]), rows / times[:, column].min()
        print(
            f"{name:16} {loop:12} {rate:8.0f} spectra/s, at best {best:8.0f}; ratio {middle:.2f} ({low:.2f}-{high:.2f})"
        )


def losses(name, rows, epochs, seeds):
    """Print the last training and monitor loss of the three loops, mean and standard deviation over the seeds."""
    last = {loop: [] for loop in ("plain", *PRECISIONS)}
    apart = dict.fromkeys(PRECISIONS, 0.0)
    for seed in range(seeds):
        torch.manual_seed(seed)
        (x, y), held_out = simulated(rows, 10 + seed), simulated(rows // 2, 100 + seed)
        train, monitor = (tensor_set({"raman": v}, {"species": c}) for v, c in ((x, y), held_out))
        plain = PLAIN[name]()
        networks = {precision: our_network(name, plain) for precision in PRECISIONS}
        stream = streams(seed, torch.device("cpu")).batches
        batches = [shuffled_batches(rows, BATCH, stream) for _ in range(epochs)]
        tensors = [(part.inputs["raman"], part.labels["species"]) for part in (train, monitor)]
        curve = plain_fit(plain, *tensors[0], batches, tensors[1])
        last["plain"].append(curve[-1])
        for precision, network in networks.items():
            options = TrainingOptions(epochs=epochs, batch_size=BATCH, lr=RATE, precision=precision)
            ours = [[e["loss"], e["monitor"]] for e in fit(network, train, monitor, options, seed=seed).epochs]
            last[precision].append(ours[-1])
            apart[precision] = max(apart[precision], np.abs(np.array(ours) - curve)[:, 0].max())
    for loop, ends in last.items():
        (train_loss, monitor_loss), (a, b) = np.mean(ends, axis=0), np.std(ends, axis=0)
        note = f"; training curve at most {apart[loop]:.4f} from the plain one" if loop in apart else ""
        print(
            f"{name:16} {loop:12} after {epochs} epochs, {seeds} seeds: "
            f"training {train_loss:.4f} +- {a:.4f}, monitor {monitor_loss:.4f} +- {b:.4f}{note}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds and epochs, to see that it runs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--models", nargs="+", choices=PLAIN, default=list(PLAIN))
    parser.add_argument("--speed-only", action="store_true", help="leave out the comparison of losses")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    rounds, repeats = (3, 2) if options.quick else (15, 10)
    rates = [peak(dtype, repeats) for dtype in (torch.float32, torch.bfloat16)]
    print(f"{options.threads} threads; peak matrix product: float32 {rates[0]:.0f} GFLOP/s, bfloat16 {rates[1]:.0f}")
    for name in options.models:
        speeds(name, BATCH * (2 if name == "bacteria_resnet" else 40), rounds)
    for name in () if options.speed_only else options.models:
        rows, epochs = (96, 2) if options.quick else (256, 5 if name == "bacteria_resnet" else 20)
        losses(name, rows, epochs, seeds=3)


if __name__ == "__main__":
    main()
