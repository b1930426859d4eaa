"""Fine-tuning of a ResNet-50 with frozen stages: their maps kept on disk, against a loop that runs them in every epoch.

    python benchmarks/frozen_prefix.py [--quick] [--threads 2] [--images 48] [--epochs 3] [--rounds 3] [--cpu-time]

Simulated images of 224 x 224, batches of 16, adam. `last stage`: stage4 and the head learn; `heads`: the head alone.
The plain loop runs what is frozen in evaluation mode under `torch.no_grad` and shares no code with polydx but the
network and the order of the batches. The two take turns; a ratio is the median over the rounds of (time of an epoch of
the plain loop / time of an epoch of polydx), with the extremes: another job on the machine slows neighbours alike. The
first fit fills the store and is not counted; its time is printed. Losses are those of fits from the same weights.
On a machine that is busy with much else, `--cpu-time --threads 1` counts seconds of the processor, not of the clock.
"""

import argparse
import logging
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from polydx.models.network import build_network
from polydx.training.freezing import freeze
from polydx.training.loop import fit
from polydx.training.options import TrainingOptions
from polydx.training.prefix_store import PrefixStore
from polydx.training.streams import shuffled_batches, streams
from polydx.training.tensors import tensor_set

BATCH, CLASSES, RATE = 16, 4, 1e-4
STAGES = ("stem", "stage1", "stage2", "stage3", "stage4")
FROZEN = {"heads": STAGES, "last stage": STAGES[:4]}


def simulated(count, side):
    """Images of cells: discs whose number and colour tell the class, under noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side]
    labels = np.arange(count) % CLASSES
    images = rng.normal(0, 0.3, (count, 3, side, side)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        for y, x in rng.uniform(0, side, (4 + 3 * label, 2)):
            image[label % 3] += ((rows - y) ** 2 + (columns - x) ** 2 < (side / 16) ** 2).astype(np.float32)
    return tensor_set({"smear": images}, {"leaf": labels})


def network(side, frozen):
    net = build_network(
        {"smear": (3, side, side)},
        backbones={"smear": {"name": "resnet", "depth": 50}},
        heads={"leaf": {"classes": CLASSES}},
        seed=0,
    )
    freeze(net, [f"backbones.smear.{stage}" for stage in frozen])
    return net


def plain_fit(net, frozen, data, seed, epochs):
    """Return the mean training loss of each epoch."""
    x, y = data.inputs["smear"], data.labels["leaf"]
    backbone, stream = net.backbone("smear"), streams(seed, torch.device("cpu")).batches
    lower = [backbone.get_submodule(stage) for stage in frozen]
    upper = [backbone.get_submodule(stage) for stage in STAGES[len(frozen) :]]
    optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], RATE)
    curve = []
    for _ in range(epochs):
        net.train()
        for stage in lower:
            stage.eval()
        total = 0.0
        for rows in shuffled_batches(len(x), BATCH, stream):
            with torch.no_grad():
                maps = x[rows]
                for stage in lower:
                    maps = stage(maps)
            for stage in upper:
                maps = stage(maps)
            optimiser.zero_grad()
            loss = functional.cross_entropy(net.head("leaf")(maps.mean(dim=(2, 3))), y[rows])
            loss.backward()
            optimiser.step()
            total += loss.item() * len(rows)
        curve.append(total / len(x))
    return curve


def compare(what, data, options, folder):
    clock = time.process_time if options.cpu_time else time.perf_counter
    side, frozen = data.inputs["smear"].shape[-1], FROZEN[what]
    training = TrainingOptions(epochs=options.epochs, batch_size=BATCH, lr=RATE)

    def ours():
        net = network(side, frozen)
        stamps = [clock()]
        history = fit(
            net,
            data,
            options=training,
            seed=1,
            store=PrefixStore(folder, 10**10),
            on_epoch=lambda *_: stamps.append(clock()),
        )
        # The first span holds the reading or filling of the store.
        return stamps[1] - stamps[0], np.diff(stamps[1:]).mean(), [row["loss"] for row in history.epochs]

    fill, _, cold = ours()
    ratios, epochs = [], []
    for _ in range(options.rounds):
        net, start = network(side, frozen), clock()
        plain = plain_fit(net, frozen, data, 1, options.epochs)
        took = clock() - start
        _, each, warm = ours()
        epochs.append((took / options.epochs, each))
        ratios.append(epochs[-1][0] / each)
    before, after = np.median(epochs, axis=0)
    print(
        f"{what:10} plain {before:7.2f} s an epoch, kept {after:7.3f} s; ratio {np.median(ratios):.1f} "
        f"({min(ratios):.1f}-{max(ratios):.1f}); the first epoch, which fills the store, {fill:.1f} s"
    )
    apart = max(abs(a - b) for a, b in zip(plain, warm, strict=True))
    print(
        f"{'':10} losses {', '.join(f'{loss:.5f}' for loss in warm)}; at most {apart:.1e} from the plain loop; "
        f"empty and filled store {'the same' if cold == warm else 'DIFFER'}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few small images, to see that it runs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true", help="seconds of the processor; meant for one thread")
    options = parser.parse_args()
    if options.quick:
        options.images, options.epochs, options.rounds = 32, 2, 1
    torch.set_num_threads(options.threads)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    side = 96 if options.quick else 224
    data = simulated(options.images, side)
    print(
        f"{options.threads} threads, {options.images} images of {side} x {side}, {options.epochs} epochs a fit",
        flush=True,
    )
    for what in FROZEN:
        with tempfile.TemporaryDirectory() as folder:
            compare(what, data, options, Path(folder))
            size = sum(path.stat().st_size for path in Path(folder).rglob("*.safetensors"))
            print(f"{'':10} {size / options.images / 1e6:.2f} MB on disk an image")


if __name__ == "__main__":
    main()
