"""One training in several processes, a GPU each: they share out every batch and stay in step.

Each process is a child of its own (`backend.training.run_in_child`), so that a death, a fault and
the wish to stop reach the parent as in any training. What one of them fails of ends them all and
is told once. They find each other through a file, not a port.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, OnProgress, ShouldStop, ignore, never
from napari_medssl.backend.training import ProcessDiedError, run_in_child

if TYPE_CHECKING:
    from torch import Tensor, nn

# Processes that wait for each other may wait long (one reads slides); death is noticed elsewhere.
_PATIENCE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Group:
    """The processes that train together, as one of them sees it; by default it is alone.

    Attributes
    ----------
    rank, size
        Which it is, counted from 0, and how many there are.
    device
        Torch name of where this one computes.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether this is the one that reports and writes files."""
        return self.rank == 0

    def part(self, count: int) -> NDArray[np.bool_]:
        """Return which of `count` items this process takes, shape (count,); all have as many."""
        each = count // self.size
        places = np.arange(count)
        taken: NDArray[np.bool_] = (places >= self.rank * each) & (places < (self.rank + 1) * each)
        return taken

    def any(self, is_true: bool) -> bool:
        """Return whether it is true in any process; all must ask."""
        return self.mean(float(is_true)) > 0

    def mean(self, value: float) -> float:
        """Return the mean of a number over the processes; all must ask."""
        if self.size == 1:
            return value
        import torch
        from torch import distributed

        held = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(held)
        return float(held) / self.size

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows of all processes in their order, (size * B, ...), without slopes."""
        import torch
        from torch import distributed

        if self.size == 1:
            return rows.detach()
        parts = [torch.empty_like(rows) for _ in range(self.size)]
        distributed.all_gather(parts, rows.detach().contiguous())
        return torch.cat(parts)

    def join(self, module: nn.Module) -> nn.Module:
        """Return a module whose slopes are means over the processes.

        Its weights and buffers become those of the first; its buffers must not change in training.
        """
        if self.size == 1:
            return module
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(module)

    def align(self, module: nn.Module) -> None:
        """Give the weights and buffers of a module the values that they have in the first."""
        from torch import distributed

        if self.size > 1:
            for value in module.state_dict().values():
                distributed.broadcast(value, 0)


ALONE = Group()

Work = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class _Member:
    work: Work
    config: Any
    group: Group
    meeting: str


def run_in_group(
    work: Work,
    config: Any,
    devices: tuple[str, ...],
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Any:
    """Run `work(config, group, on_progress=..., should_stop=...)` in a process for each device.

    Parameters
    ----------
    work
        As for `run_in_child`, with its `Group` as the second argument. That it is to stop reaches
        the processes one by one: it asks `group.any(should_stop())`.
    config
        Its settings, plain values.
    devices
        Torch names, one a process: "cuda:0", "cuda:1", or "cpu" several times.
    on_progress
        Called with every `Progress` of the first process, in a thread of its own.

    Returns
    -------
    What the work returned in the first process.

    Raises
    ------
    UserError, Cancelled, TrainingError
        As `run_in_child` does; a process that died is told with its number.
    """
    ended = threading.Event()
    failures: list[_Failure] = []

    with tempfile.TemporaryDirectory(prefix="medssl-group-", ignore_cleanup_errors=True) as folder:

        def run(rank: int) -> Any:
            group = Group(rank, len(devices), devices[rank])
            try:
                return run_in_child(
                    _work_in_group,
                    _Member(work, config, group, str(Path(folder) / "meeting")),
                    on_progress=on_progress if group.is_first else ignore,
                    should_stop=lambda: ended.is_set() or should_stop(),
                )
            except BaseException as error:
                failures.append(_Failure(rank, time.monotonic(), error))
                ended.set()  # the others would wait for this one
                return None

        with ThreadPoolExecutor(len(devices)) as pool:
            results = list(pool.map(run, range(len(devices))))
    if not failures:
        return results[0]
    was_asked = should_stop()
    first = min(failures, key=lambda failure: failure.order(was_asked))
    if isinstance(first.error, ProcessDiedError):
        raise ProcessDiedError(f"Process {first.rank + 1} of {len(devices)}: {first.error}")
    raise first.error


@dataclass(frozen=True, slots=True)
class _Failure:
    rank: int
    when: float
    error: BaseException

    def order(self, was_asked: bool) -> tuple[int, float]:
        """Return the place in the line of what to tell: a cause before what followed from it.

        That a process found its fellows gone is no cause, be it that one failed or was stopped.
        """
        if isinstance(self.error, UserError):
            return 0, self.when
        if isinstance(self.error, Cancelled):
            return (1 if was_asked else 3), self.rank
        return 2, self.when


def _work_in_group(member: _Member, *, on_progress: OnProgress, should_stop: ShouldStop) -> Any:
    """Meet the other processes, and work."""
    import torch
    from torch import distributed

    group = member.group
    on_gpu = group.device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(group.device)
    else:
        torch.set_num_threads(max(1, torch.get_num_threads() // group.size))
    distributed.init_process_group(
        "nccl" if on_gpu else "gloo",
        store=distributed.FileStore(member.meeting, group.size),  # type: ignore[attr-defined]
        rank=group.rank,
        world_size=group.size,
        timeout=_PATIENCE,
    )
    result = member.work(member.config, group, on_progress=on_progress, should_stop=should_stop)
    # Not after a fault: leaving at once is what tells the others.
    distributed.destroy_process_group()
    return result
