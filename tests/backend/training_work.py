"""Work for the training tests: the child imports it by name."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.checkpoints import load_checkpoint, save_checkpoint
from napari_medssl.backend.jobs import Cancelled, Progress


@dataclass(frozen=True)
class TinyConfig:
    """A real, tiny training run with dropout, AdamW and a numpy generator."""

    folder: str
    steps: int = 12
    stop_after: int = 10**9
    seed: int = 5
    pause_s: float = 0.0


def train_tiny(config, *, on_progress, should_stop):
    """Train from the checkpoint if there is one; return the final weights as a list."""
    import numpy as np
    import torch

    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    path, step = Path(config.folder) / "last.safetensors", 0
    if path.exists():
        checkpoint = load_checkpoint(path)
        checkpoint.restore({"model": model}, {"adam": optimizer}, {"rng": rng})
        step = checkpoint.step
    while step < config.steps:
        batch = torch.from_numpy(rng.normal(size=(6, 4))).float()
        loss = (model(batch) - batch.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        time.sleep(config.pause_s)
        on_progress(Progress(step, config.steps, "training", {"loss": loss.item()}))
        if should_stop() or step == config.stop_after:
            save_checkpoint(
                path, {"model": model}, {"adam": optimizer},
                step=step, config=asdict(config), generators={"rng": rng},
            )  # fmt: skip
            raise Cancelled
    return [value.tolist() for value in model.state_dict().values()]


def train_one_and_break_another(configs, *, on_progress, should_stop):
    """Train by the first config, then begin by the second, in the one process."""
    whole, broken = configs
    found = train_tiny(whole, on_progress=on_progress, should_stop=should_stop)
    with suppress(Cancelled):
        train_tiny(broken, on_progress=on_progress, should_stop=should_stop)
    return found


def echo(config, *, on_progress, should_stop):
    on_progress(Progress(1, 2, "half"))
    return {"pid": os.getpid(), "config": config}


def refuse(config, *, on_progress, should_stop):
    raise UserError("Folder 'x' holds 0 images; give at least 1.")


def crash(config, *, on_progress, should_stop):
    raise KeyError("a fault deep inside")


def give_unsendable(config, *, on_progress, should_stop):
    return lambda: None


def be_killed(config, *, on_progress, should_stop):
    on_progress(Progress(7, 9))
    os.kill(os.getpid(), signal.SIGKILL)


def never_listen(config, *, on_progress, should_stop):
    on_progress(Progress(1))
    while True:
        time.sleep(0.1)


def start_a_grandchild(config, *, on_progress, should_stop):
    """A loader process, as data loaders start them, which a daemon may not."""
    import multiprocessing

    child = multiprocessing.get_context("spawn").Process(target=os.getpid)
    child.start()
    child.join()
    return child.exitcode


def write_pid_and_wait(config, *, on_progress, should_stop):
    Path(config).write_text(str(os.getpid()))
    while not should_stop():
        time.sleep(0.05)
    raise Cancelled


def fill_gpu(config, *, on_progress, should_stop):
    """Take `config` bytes of GPU memory; return the bytes that are free then."""
    import torch

    held = torch.ones(config, dtype=torch.uint8, device="cuda")
    free, _ = torch.cuda.mem_get_info()
    return free if held.sum() else 0


def tell_openmp(config, *, on_progress, should_stop):
    """Return what OpenMP is told in the child, and whether torch came before."""
    import sys

    return os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules
