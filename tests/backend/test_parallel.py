"""Training in several processes: as one with the whole batch, and its end for whatever reason."""

import sys
import time

import group_work as work
import numpy as np
import pytest
import torch

from napari_medssl._errors import UserError
from napari_medssl.backend import parallel
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.parallel import ALONE, Group, run_in_group
from napari_medssl.backend.training import ProcessDiedError, TrainingError

TWO = ("cpu", "cpu")


def test_alone_a_process_takes_everything():
    assert ALONE.is_first
    assert ALONE.part(5).all()
    assert (ALONE.any(True), ALONE.any(False), ALONE.mean(3.0)) == (True, False, 3.0)
    rows, module = torch.ones(2, 3), torch.nn.Linear(3, 1)
    assert (ALONE.gather(rows) == rows).all()
    assert ALONE.join(module) is module


def test_parts_are_alike_and_leave_nothing_out():
    parts = [Group(rank, 3).part(9) for rank in range(3)]
    assert [p.sum() for p in parts] == [3, 3, 3]
    assert np.sum(parts, axis=0).tolist() == [1] * 9


@pytest.fixture(scope="module")
def shared_out():
    """What two processes did: the slopes of a small network, and the encoder's training."""
    return run_in_group(work.share_out, None, TWO)


def test_two_processes_have_the_slopes_of_one_with_the_whole_batch(shared_out):
    came, _ = shared_out
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), came["weights"], strict=True):
            parameter.copy_(torch.from_numpy(value))
    rows = torch.linspace(-1, 1, 24).view(8, 3)
    network(rows).square().mean().backward()
    for parameter, slope in zip(network.parameters(), came["slopes"], strict=True):
        assert np.allclose(parameter.grad.numpy(), slope, atol=1e-6)
    assert came["any"] == [True, False]
    assert came["mean"] == 0.5
    assert (came["gathered"] == rows.numpy()).all()


def test_two_processes_train_the_encoder_as_one_does(shared_out):
    """Pairs with the trunk, and instance discrimination: losses, weights and memories."""
    _, apart = shared_out
    threads = torch.get_num_threads()
    alone = work.run_every(ALONE)
    torch.set_num_threads(threads)
    for (losses, states), (due_losses, due) in zip(apart, alone, strict=True):
        assert np.allclose(losses, due_losses, rtol=1e-4)
        assert states.keys() == due.keys()
        for name, value in due.items():
            assert np.allclose(states[name], value, rtol=1e-3, atol=1e-4), name


@pytest.mark.skipif(sys.platform == "win32", reason="Windows kills in another way")
def test_the_death_of_one_process_ends_them_all_and_is_told_in_one_line():
    seen = []
    with pytest.raises(ProcessDiedError, match=r"^Process 2 of 2: The training process ended"):
        run_in_group(
            work.die_in_the_second, None, TWO, on_progress=lambda p: seen.append(time.monotonic())
        )
    assert time.monotonic() - seen[0] < 25  # the first was not waited for until patience ends


CAUSES = [
    UserError("Tile 5 is damaged; leave it out."),
    TrainingError("KeyError: 'a fault deep inside'", ""),
    Cancelled("Stopped after 3 of 9 steps."),
]


@pytest.mark.parametrize("cause", CAUSES, ids=["refused", "fault", "stopped"])
@pytest.mark.parametrize("failing", [0, 1])
def test_a_cause_is_told_before_what_followed_from_it(monkeypatch, cause, failing):
    """The other process finds itself left alone, be it a moment earlier."""

    def run_one(work, member, *, on_progress, should_stop):
        if member.group.rank == failing:
            time.sleep(0.05)
            raise cause
        if not isinstance(cause, TrainingError):  # among faults the first one counts
            raise TrainingError("RuntimeError: Connection closed by peer", "")
        while not should_stop():
            time.sleep(0.01)
        raise Cancelled

    monkeypatch.setattr(parallel, "run_in_child", run_one)
    with pytest.raises(type(cause)) as told:
        run_in_group(None, None, TWO, should_stop=lambda: isinstance(cause, Cancelled))
    assert told.value is cause
