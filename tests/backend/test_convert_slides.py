"""Many slides converted in turn: progress over all of them, failures that stop nothing."""

import numpy as np
import pytest
from PIL import Image

from napari_medssl.backend.convert_slides import Batch, Task, convert_all, verify_all
from napari_medssl.backend.jobs import Cancelled


@pytest.fixture
def batch(tmp_path):
    tasks = []
    for number, width in enumerate((300, 900, 600)):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.full((200, width, 3), 200, np.uint8)).save(path)
        out = tmp_path / f"{number}.ome.zarr"
        tasks.append(Task(f"slide {number}", str(path), "", out, width))
    return Batch(tuple(tasks))


def test_progress_goes_over_all_and_never_back(batch):
    told = []
    outcome = convert_all(batch, on_progress=told.append)
    assert sorted(outcome.stores) == [0, 1, 2]
    parts = [progress.done / progress.total for progress in told]
    assert parts == sorted(parts)
    assert parts[-1] == 1
    of_second = [p for p in told if p.message.startswith("2 of 3: slide 1, ")]
    assert min(p.done / p.total for p in of_second) == pytest.approx(300 / 1800, abs=0.01)
    assert max(p.done / p.total for p in of_second) == pytest.approx(1200 / 1800, abs=0.01)


def test_one_that_fails_does_not_stop_the_others(batch):
    batch.tasks[1].out.mkdir()
    (batch.tasks[1].out / "mine.txt").write_text("precious")
    outcome = convert_all(batch)
    assert sorted(outcome.stores) == [0, 2]
    (failure,) = outcome.failures
    assert "1.ome.zarr" in failure
    assert len(outcome.notes) == 2  # no resolution


def test_what_was_done_before_a_stop_is_told(batch):
    with pytest.raises(Cancelled):
        convert_all(batch, should_stop=lambda: bool(batch.outcome.stores))
    assert batch.outcome.stores == {0: batch.tasks[0].out}


def test_stores_are_compared_with_what_was_written(batch):
    convert_all(batch)
    assert sorted(verify_all(Batch(batch.tasks)).stores) == [0, 1, 2]
    shard = next(path for path in (batch.tasks[1].out / "0" / "c").rglob("*") if path.is_file())
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    outcome = verify_all(Batch(batch.tasks))
    assert sorted(outcome.stores) == [0, 2]
    (failure,) = outcome.failures
    assert failure.startswith("'1.ome.zarr': 1 of ")
    assert "convert the slide again" in failure
