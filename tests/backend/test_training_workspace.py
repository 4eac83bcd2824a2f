"""A training that a window is at: no other window may take it up, begin it anew or delete it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import torch

from napari_medssl._errors import UserError
from napari_medssl.backend.checkpoints import save_checkpoint
from napari_medssl.backend.training_workspace import (
    Workspace,
    discard,
    in_use,
    note,
    throw_away,
    unfinished,
)

HOLDER = """
import sys, time
from pathlib import Path
from napari_medssl.backend.training_workspace import Workspace, in_use
with in_use(Workspace("bars", Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def workspace(tmp_path):
    """Of a training that was stopped after 7 steps."""
    made = Workspace("bars", tmp_path / "models")
    note(made, "painted", {"steps": 9})
    save_checkpoint(made.checkpoint, {"a": torch.nn.Linear(1, 1)}, {}, step=7, config={})
    return made


def test_one_that_was_stopped_is_found_and_thrown_away(workspace):
    (found,) = unfinished(workspace.models)
    assert (found.name, found.trainer, found.done) == ("bars", "painted", 7)
    throw_away(workspace)
    assert not unfinished(workspace.models)
    assert not workspace.checkpoint.exists()
    assert not list(workspace.lock.parent.iterdir())


def test_one_that_another_program_is_at_is_left_to_it_until_that_is_killed(workspace):
    command = [sys.executable, "-c", HOLDER, str(workspace.models)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "held\n"
            assert unfinished(workspace.models) == ()
            told = rf"'bars' is being trained by another program \(process {other.pid} on .*stop it"
            with pytest.raises(UserError, match=told):
                throw_away(workspace)
            assert workspace.checkpoint.exists()
        finally:
            other.send_signal(signal.SIGKILL)
    assert workspace.lock.exists()  # it could not clear up
    assert len(unfinished(workspace.models)) == 1
    assert not workspace.lock.exists()


def test_two_windows_of_one_program_do_not_share_one(workspace):
    with (
        in_use(workspace),
        pytest.raises(UserError, match="is being trained"),
        in_use(workspace),
    ):
        pass
    with in_use(workspace):
        discard(workspace)
