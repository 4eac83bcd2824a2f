"""A training that a window is at: no other window may take it up, begin it anew or delete it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from napari_medssl._errors import UserError
from napari_medssl.backend.checkpoints import save_checkpoint
from napari_medssl.backend.training_leftovers import clear_leftovers, cleared_unless_saved
from napari_medssl.backend.training_workspace import (
    Workspace,
    check_free,
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


def left_behind(models, name):
    """Copies of images, as a kill in the midst of collecting them leaves."""
    made = Workspace(name, models)
    for folder in (made.images, made.masks, made.unlabelled):
        folder.mkdir(parents=True)
        (folder / "0001.png").write_bytes(b"pixels")
    (made.folder / ".writing-x1.json").write_bytes(b"")
    made.lock.write_bytes(b"")
    return made


def test_what_was_killed_before_its_first_checkpoint_is_cleared_and_nothing_else(workspace):
    models = workspace.models
    early, noted, held = (left_behind(models, name) for name in ("early", "noted", "held"))
    note(noted, "painted", {})
    other = left_behind(models, "other")
    (other.folder / "thesis.txt").write_text("of a person")
    (models / "early.safetensors").write_bytes(b"a model of that name")
    with in_use(held):
        clear_leftovers(models)
        assert held.images.exists()
        with pytest.raises(UserError, match="'held' is being trained by another program"):
            check_free(held)
    check_free(held)
    assert not early.folder.exists()
    assert not early.lock.exists()
    assert not noted.folder.exists()
    assert other.images.exists()
    assert early.out.exists()
    assert [one.done for one in unfinished(models)] == [7]
    clear_leftovers(models)
    assert not held.folder.exists()
    clear_leftovers(models / "none")


def test_a_training_that_fails_without_a_checkpoint_clears_up(workspace):
    early = left_behind(workspace.models, "early")
    for made in (early, workspace):
        with pytest.raises(RuntimeError, match="no memory"), cleared_unless_saved(made):
            raise RuntimeError("no memory")
    assert not early.folder.exists()
    assert len(unfinished(workspace.models)) == 1


def test_half_a_checkpoint_of_a_kill_is_cleared_but_not_one_that_is_written_now(workspace):
    old, new = (workspace.models / f".writing-{name}.safetensors" for name in ("old", "new"))
    for half in (old, new):
        half.write_bytes(b"half")
    hours_ago = time.time() - 7200
    os.utime(old, (hours_ago, hours_ago))
    clear_leftovers(workspace.models)
    assert not old.exists()
    assert new.exists()
    assert workspace.checkpoint.exists()
