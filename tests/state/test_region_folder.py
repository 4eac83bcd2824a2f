"""Regions on disk: what was edited survives a kill; damage and strangers are refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medssl._errors import UserError
from napari_medssl.io.geojson import Feature, Roi
from napari_medssl.io.geojson.feature import rectangle
from napari_medssl.state.project_files import ProjectDamagedError
from napari_medssl.state.region_classes import read_classes
from napari_medssl.state.region_folder import RegionFolder, SlideIdentity

SLIDE = SlideIdentity("a.svs", "1:abc")


def crash(opened: RegionFolder) -> None:
    """Leave the files as a kill would: journal written, nothing else."""
    assert opened.flush()
    opened._journal.close()
    opened._lock.release()
    opened._journal = None


def same(a: RegionFolder, b: RegionFolder) -> bool:
    return (
        a.store.as_dict() == b.store.as_dict()
        and a.store.history.edits == b.store.history.edits
        and a.store.history.position == b.store.history.position
        and a.store.next_id == b.store.next_id
    )


def test_regions_are_read_back_with_classes_and_history(tmp_path):
    with RegionFolder.open(tmp_path / "a.regions", SLIDE) as opened:
        store = opened.store
        assert [c.name for c in store.classes()][:2] == ["Tumor", "Stroma"]
        key = store.draw(rectangle(0, 0, 4, 4), store.find_class("Tumor"))
        store.move([key], 1, 1)
        store.undo()
    with RegionFolder.open(tmp_path / "a.regions", SLIDE) as again:
        assert same(opened, again)
        assert again.slide == SLIDE
        again.store.redo()
        assert again.store.region(key).shape.bounds == (1, 1, 5, 5)
    assert read_classes(tmp_path / "a.regions" / "classes.json") == store.classes()


def test_crash_loses_nothing_that_was_journalled(tmp_path):
    opened = RegionFolder.open(tmp_path / "a.regions", SLIDE)
    store = opened.store
    nan = json.loads("NaN")  # a measurement that QuPath could not make
    features = [Feature(Roi(shapely.Point(1, 1)), measurements={"Hue": nan}, class_name="New")]
    store.add_features(features)
    key = store.draw(rectangle(0, 0, 1 / 3, 0.1))
    store.remove_class(store.find_class("New"))
    store.undo()
    store.move([key], 0.1, 0.2)
    crash(opened)
    with RegionFolder.open(tmp_path / "a.regions") as again:
        assert same(opened, again)
        assert again.slide == SLIDE


def test_save_cut_short_before_the_journal_is_emptied_repeats_nothing(tmp_path, monkeypatch):
    opened = RegionFolder.open(tmp_path / "a.regions")
    opened.store.draw(rectangle(0, 0, 4, 4))
    monkeypatch.setattr(opened._journal, "compact", lambda: None)
    opened.save()
    crash(opened)
    with RegionFolder.open(tmp_path / "a.regions") as again:
        assert same(opened, again)


def test_a_file_cut_off_anywhere_is_told(tmp_path):
    with RegionFolder.open(tmp_path / "a.regions", SLIDE) as opened:
        opened.store.draw(rectangle(0, 0, 4, 4))
    path = tmp_path / "a.regions" / "regions.jsonl"
    content = path.read_bytes()
    for end in (content.index(b"\n") + 1, len(content) // 2, content.rindex(b'["end"]')):
        path.write_bytes(content[:end])
        with pytest.raises(ProjectDamagedError):
            RegionFolder.open(tmp_path / "a.regions")


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_journal_cut_anywhere_gives_a_state_that_was(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("regions") / "a.regions"
    opened = RegionFolder.open(folder)
    states = [opened.store.as_dict()]
    for step in data.draw(st.lists(st.sampled_from(["draw", "undo", "redo", "move"]), max_size=8)):
        if step == "draw":
            opened.store.draw(rectangle(0, 0, 4, 4))
        elif step == "move":
            opened.store.move(opened.store.region_keys(), 1, 2)
        else:
            getattr(opened.store, step)()
        states.append(opened.store.as_dict())
    crash(opened)
    journal = folder / "journal.jsonl"
    content = journal.read_bytes()
    journal.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with RegionFolder.open(folder) as again:
        assert again.store.as_dict() in states


# -- many regions ----------------------------------------------------------------------------------


def test_many_regions_hold_up_no_other_thread(tmp_path, monkeypatch):
    """Each call of json is for one row: the interpreter is held for as long as it takes."""
    from napari_medssl.state import item_folder, region_folder

    sizes, threads = [], set()

    def dump(value, whole=item_folder.dump):
        sizes.append(len(whole(value)))
        return whole(value)

    def to_row(item, whole=region_folder.item_to_row):
        threads.add(threading.current_thread().name)
        return whole(item)

    monkeypatch.setattr(item_folder, "dump", dump)
    monkeypatch.setattr(region_folder, "item_to_row", to_row)
    with RegionFolder.open(tmp_path / "a.regions") as opened:
        threads.clear()
        opened.store.add_features([Feature(rectangle(0, 0, n + 1, 1)) for n in range(2000)])
        assert opened.flush()
        assert threads == {"journal"}
    assert max(sizes) < 2000
    with RegionFolder.open(tmp_path / "a.regions") as again:
        assert same(opened, again)


def test_a_change_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    opened = RegionFolder.open(tmp_path / "a.regions")
    with monkeypatch.context() as patch:
        patch.setattr("napari_medssl.state.region_folder.item_to_row", lambda _: object())
        opened.store.draw(rectangle(0, 0, 4, 4))
        opened.flush()
    assert "TypeError" in opened.save_error
    opened.store.draw(rectangle(0, 0, 5, 5))
    assert opened.flush()  # the thread lives on
    with pytest.raises(UserError, match="could not be written: TypeError"):
        opened.close()


# -- refusals ------------------------------------------------------------------------------------


def test_regions_of_another_slide_are_refused(tmp_path):
    RegionFolder.open(tmp_path / "a.regions", SLIDE).close()
    with pytest.raises(UserError, match=r"belong to another slide, 'a\.svs', not to 'b\.svs'"):
        RegionFolder.open(tmp_path / "a.regions", SlideIdentity("b.svs", "2:def"))
    RegionFolder.open(tmp_path / "a.regions", SlideIdentity("renamed.svs", "1:abc")).close()


def test_open_regions_cannot_be_opened_twice(tmp_path):
    with (
        RegionFolder.open(tmp_path / "a.regions"),
        pytest.raises(UserError, match=r"The regions folder .* is open in another window"),
    ):
        RegionFolder.open(tmp_path / "a.regions")


def test_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"x")
    with pytest.raises(UserError, match="holds something else, no regions folder"):
        RegionFolder.open(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["photo.png"]


def test_newer_version_is_refused(tmp_path):
    RegionFolder.open(tmp_path / "a.regions").close()
    path = tmp_path / "a.regions" / "regions.jsonl"
    path.write_text(path.read_text().replace('"version":1', '"version":99'))
    with pytest.raises(UserError, match=r"has version 99.*Update napari-medssl"):
        RegionFolder.open(tmp_path / "a.regions")


WHOLE = b'{"format":"napari-medssl regions","version":1,"position":0}'
BAD = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"format": "other"}',
    WHOLE,
    WHOLE + b'\n["before",1,[]]\n["end"]',
]


@pytest.mark.parametrize("content", BAD)
def test_damaged_file_is_told_and_repair_takes_the_journal(tmp_path, content):
    opened = RegionFolder.open(tmp_path / "a.regions")
    key = opened.store.draw(rectangle(0, 0, 4, 4), opened.store.find_class("Tumor"))
    crash(opened)
    path = tmp_path / "a.regions" / "regions.jsonl"
    path.write_bytes(content)
    with pytest.raises(ProjectDamagedError, match=r"cannot read regions\.jsonl"):
        RegionFolder.open(tmp_path / "a.regions")
    assert path.read_bytes() == content
    with RegionFolder.open(tmp_path / "a.regions", repair=True) as again:
        assert again.store.region(key).shape.bounds == (0, 0, 4, 4)
        assert again.store.feature(key).class_name == ""  # the list went with the file
    RegionFolder.open(tmp_path / "a.regions").close()


def test_damaged_journal_line_is_told_and_the_rest_taken(tmp_path):
    opened = RegionFolder.open(tmp_path / "a.regions")
    keys = [opened.store.draw(rectangle(0, 0, 4, 4)) for _ in range(3)]
    crash(opened)
    path = tmp_path / "a.regions" / "journal.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[1] = lines[1][:-5] + b"xxxxx"
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(ProjectDamagedError, match=r"cannot read journal\.jsonl"):
        RegionFolder.open(tmp_path / "a.regions")
    with RegionFolder.open(tmp_path / "a.regions", repair=True) as again:
        assert again.store.region_keys() == (keys[0], keys[2])


# -- kill ----------------------------------------------------------------------------------------

CHILD = """
import sys, time
from napari_medssl.io.geojson.feature import rectangle
from napari_medssl.state.region_folder import RegionFolder
opened = RegionFolder.open(sys.argv[1])
store = opened.store
print("ready", flush=True)
for n in range(100000):
    key = store.draw(rectangle(0, 0, n + 1, 1))
    if n % 5 == 4:
        store.move([key], 1, 1)
        store.undo()
    if n % 50 == 49:
        opened.save()
    print(n, time.time(), flush=True)
    time.sleep(0.002)
"""


def test_kill_at_random_moments_loses_less_than_two_seconds(tmp_path):
    rng = np.random.default_rng()
    for trial, most_s in enumerate((0.2, 0.8, 4.0)):
        folder = tmp_path / f"{trial}.regions"
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(most_s / 2, most_s))
        os.kill(child.pid, signal.SIGKILL)
        killed = time.time()
        told = [line.split() for line in child.stdout.read().splitlines(keepends=True)
                if line.endswith("\n")]  # fmt: skip
        child.wait()
        due = [int(number) for number, when in told if float(when) < killed - 1.9]
        with RegionFolder.open(folder) as opened:
            widths = [opened.store.region(k).shape.bounds[2] for k in opened.store.region_keys()]
            assert widths == [n + 1 for n in range(len(widths))]
            assert len(widths) > max(due, default=-1)
