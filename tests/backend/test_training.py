"""Training in a child process: results, faults, stopping and death all reach the parent."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import training_work as work

from napari_medssl._errors import UserError
from napari_medssl.backend.checkpoints import load_checkpoint, save_checkpoint
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.training import TrainingError, run_in_child


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(true, within_s):
    end = time.monotonic() + within_s
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


def test_work_runs_in_another_process_and_its_result_and_progress_come_back():
    seen = []
    result = run_in_child(work.echo, {"a": 1}, on_progress=seen.append)
    assert result["config"] == {"a": 1}
    assert result["pid"] != os.getpid()
    assert [(p.done, p.total, p.message) for p in seen] == [(1, 2, "half")]


def test_the_childs_user_error_comes_back_word_for_word():
    with pytest.raises(UserError, match=r"^Folder 'x' holds 0 images; give at least 1\.$"):
        run_in_child(work.refuse, None)


def test_a_script_that_trains_is_not_run_again_in_the_child(tmp_path):
    script, runs = tmp_path / "script.py", tmp_path / "runs"
    script.write_text(
        "import training_work\n"
        "from napari_medssl.backend.training import run_in_child\n"
        f"print('run', file=open({str(runs)!r}, 'a'))\n"
        "print(run_in_child(training_work.echo, 5)['config'], __file__)\n"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.split() == ["5", str(script)], done.stderr
    assert runs.read_text() == "run\n"


def test_a_fault_in_the_child_comes_back_with_its_traceback():
    with pytest.raises(TrainingError, match="KeyError") as error:
        run_in_child(work.crash, None)
    assert "in crash" in error.value.child_traceback


def test_a_result_that_cannot_be_sent_is_a_fault_not_a_hang():
    with pytest.raises(TrainingError, match="pickle"):
        run_in_child(work.give_unsendable, None)


def test_a_killed_child_is_told_with_its_last_step():
    with pytest.raises(UserError, match=r"ended by itself at step 7 \(signal 9\)"):
        run_in_child(work.be_killed, None)


def test_training_may_start_processes_of_its_own():
    assert run_in_child(work.start_a_grandchild, None) == 0


def test_stopping_is_heard_within_one_step_and_leaves_a_checkpoint(tmp_path):
    steps = []
    config = work.TinyConfig(str(tmp_path), steps=400, pause_s=0.25)
    with pytest.raises(Cancelled):
        run_in_child(
            work.train_tiny,
            config,
            on_progress=lambda p: steps.append(p.done),
            should_stop=lambda: len(steps) >= 2,
        )
    # Asked at the second step: the step under way then is the last.
    assert len(steps) <= 3
    assert load_checkpoint(tmp_path / "last.safetensors").step == steps[-1]


def test_a_child_that_does_not_listen_is_killed_after_the_grace_time():
    seen = []
    with pytest.raises(Cancelled):
        run_in_child(
            work.never_listen,
            None,
            on_progress=seen.append,
            should_stop=lambda: bool(seen),
            grace_s=0.2,
        )


def test_a_resumed_run_equals_an_unbroken_one(tmp_path):
    """It goes on in another process, which has nothing but the checkpoint."""
    broken = work.TinyConfig(str(tmp_path / "broken"))
    both = (work.TinyConfig(str(tmp_path / "whole")), replace(broken, stop_after=5))
    whole = run_in_child(work.train_one_and_break_another, both)
    assert load_checkpoint(tmp_path / "broken" / "last.safetensors").step == 5
    assert run_in_child(work.train_tiny, broken) == whole


def test_the_child_dies_with_a_parent_that_is_killed(tmp_path):
    pid_file = tmp_path / "pid"
    code = (
        "import training_work as w, sys\n"
        "from napari_medssl.backend.training import run_in_child\n"
        "if __name__ == '__main__': run_in_child(w.write_pid_and_wait, sys.argv[1])\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    path = os.pathsep.join([*sys.path, str(Path(__file__).parent)])
    parent = subprocess.Popen(
        [sys.executable, script, pid_file], env={**os.environ, "PYTHONPATH": path}
    )
    assert wait_until(lambda: pid_file.exists() and pid_file.read_text(), 60)
    child = int(pid_file.read_text())
    assert is_alive(child)
    parent.kill()
    parent.wait()
    assert wait_until(lambda: not is_alive(child), 10)


def test_a_program_that_ends_does_not_wait_for_its_training(tmp_path):
    pid_file = tmp_path / "pid"
    code = (
        "import training_work as w, sys, threading, time, pathlib\n"
        "from napari_medssl.backend.training import run_in_child\n"
        "if __name__ == '__main__':\n"
        "    run = lambda: run_in_child(w.write_pid_and_wait, sys.argv[1])\n"
        "    threading.Thread(target=run, daemon=True).start()\n"
        "    while not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.05)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    path = os.pathsep.join([*sys.path, str(Path(__file__).parent)])
    subprocess.run(
        [sys.executable, script, pid_file],
        env={**os.environ, "PYTHONPATH": path},
        timeout=60,
        check=True,
    )
    assert wait_until(lambda: not is_alive(int(pid_file.read_text())), 10)


def tiny():
    model = torch.nn.Linear(2, 2)
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def save(path, **changes):
    model, optimizer = tiny()
    values = {"step": 1, "config": {"a": 1}, **changes}
    save_checkpoint(path, {"model": model}, {"sgd": optimizer}, **values)


def test_a_checkpoint_holds_no_pickle(tmp_path):
    path = tmp_path / "c.safetensors"
    save(path, notes={"best": 0.5})
    size = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + size])
    about = json.loads(header["__metadata__"]["checkpoint"])
    assert (about["step"], about["config"], about["notes"]) == (1, {"a": 1}, {"best": 0.5})


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "c.safetensors"
    save(path)
    with pytest.raises(TypeError):
        save(path, step=2, notes={"x": object()})
    assert load_checkpoint(path).step == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


def test_a_checkpoint_of_another_shape_is_refused(tmp_path):
    path = tmp_path / "c.safetensors"
    save(path)
    with pytest.raises(UserError, match=r"module 'model' does not fit this run .*size mismatch"):
        load_checkpoint(path).restore({"model": torch.nn.Linear(2, 3)})
    with pytest.raises(UserError, match="no state of the optimizer 'adam'"):
        load_checkpoint(path).restore({}, {"adam": tiny()[1]})


def test_weights_that_are_no_checkpoint_are_refused(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="is no checkpoint of a training run"):
        load_checkpoint(path)
