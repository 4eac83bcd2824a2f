"""Work for the tests of training in several processes: the children import it by name."""

import os
import signal
from pathlib import Path

import numpy as np

from napari_medssl.backend.jobs import Progress, ignore, never
from napari_medssl.backend.siamese_config import TrainSiameseConfig
from napari_medssl.backend.siamese_tiles import TrainingTiles


def some_tiles(count=10, side=64):
    rng = np.random.default_rng(7)
    grain = np.kron(rng.random((count, side // 8, side // 8)), np.ones((1, 8, 8)))
    pixels = (240 * np.exp(-grain[..., None] * (0.3, 1.0, 0.4))).astype(np.uint8)
    places = rng.random((count, 2)) * 2
    return TrainingTiles(pixels, np.arange(count) % 2, places)


def settings(**changes):
    given = {"steps": 3, "batch": 4, "dim": 4, "size": 64, "near": 0.9, "far": 1.8, "device": "cpu"}
    paths = {"slides": Path("none"), "out": Path("none.safetensors")}
    return TrainSiameseConfig(**paths, **(given | changes))


EVERY = (settings(trunk_rate=1e-4), settings(objective="npid"))


def run_every(group):
    """Take the steps of each config; return its losses and its weights."""
    import torch

    from napari_medssl.backend.siamese_run import SiameseRun

    torch.set_num_threads(1)  # threads that wait for each other crawl on a busy machine
    found = []
    for config in EVERY:
        run = SiameseRun(config, some_tiles(), group, on_progress=ignore, should_stop=never)
        losses = [run.step()["loss"] for _ in range(config.steps)]
        modules = {"network": run.network, **run.objective.modules()}
        states = {
            f"{name}.{key}": value.numpy()
            for name, module in modules.items()
            for key, value in module.state_dict().items()
        }
        found.append((losses, states))
    return found


def share_out(config, group, *, on_progress, should_stop):
    """Return what a group does with a small network, and with the encoder."""
    return slopes(group), run_every(group)


def slopes(group):
    """Return the slopes of a small network on this process's share of a batch, and more."""
    import torch

    torch.manual_seed(group.rank)  # on purpose not the same
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    joined = group.join(network)
    rows = torch.linspace(-1, 1, 24).view(8, 3)[torch.from_numpy(group.part(8))]
    joined(rows).square().mean().backward()
    return {
        "weights": [p.detach().numpy() for p in network.parameters()],
        "slopes": [p.grad.numpy() for p in network.parameters()],
        "any": [group.any(group.rank == 1), group.any(False)],
        "mean": group.mean(float(group.rank)),
        "gathered": group.gather(rows).numpy(),
    }


def die_in_the_second(config, group, *, on_progress, should_stop):
    """Be killed in the second process, for which the first one waits."""
    on_progress(Progress(1))
    group.mean(0.0)
    if group.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    group.mean(0.0)
