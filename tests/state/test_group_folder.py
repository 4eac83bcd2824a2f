"""Groups of rows survive closing, killing and a source that has changed, by the rows' names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import platformdirs
import pytest

from napari_medssl._errors import UserError
from napari_medssl.state.group_carry import Carried
from napari_medssl.state.group_folder import GroupFolder
from napari_medssl.state.group_place import groups_place
from napari_medssl.state.group_records import restore_state, state_record
from napari_medssl.state.journal import Journal, encode, read_journal
from napari_medssl.state.point_group import NONE
from napari_medssl.state.point_groups import PointGroups
from napari_medssl.state.project_files import ProjectDamagedError

NAMES = tuple(f"{n}.png" for n in range(10))


def opened(folder, names=NAMES, content="one", **more):
    return GroupFolder.open(folder / "cells.groups", names, content, **more)


def state(groups):
    return list(groups.ids), groups.groups, groups.next_id


def edit_much(groups, seed=0):
    random = np.random.default_rng(seed)
    groups.relabel(random.integers(-1, 3, groups.count))
    groups.rename(1, "strüma \U0001f52c")
    groups.assign(random.random(groups.count) < 0.4, "new")
    groups.split(1, np.arange(len(groups.rows_of(1))) % 2)
    groups.hide([NONE, 2])
    groups.recolor(2, (1, 2, 3))
    groups.undo()
    groups.merge([2, 3])
    groups.undo()
    groups.redo()


def test_groups_and_their_undo_are_there_again(tmp_path):
    with opened(tmp_path) as folder:
        assert folder.carried == Carried(0, 10, 0)
        edit_much(folder.groups)
        before = state(folder.groups)
        names = [edit.name for edit in folder.groups.history.edits]
        folder.groups.undo()
        undone = state(folder.groups)
        folder.groups.redo()
    for _ in range(2):
        with opened(tmp_path) as folder:
            assert folder.carried == Carried(10, 0, 0)
            assert state(folder.groups) == before
            assert [edit.name for edit in folder.groups.history.edits] == names
            folder.groups.undo()
            assert state(folder.groups) == undone
            folder.groups.redo()
            folder.save()


def test_groups_that_were_begun_with_are_not_undone(tmp_path):
    """Not now, and not after the folder was opened again; the person's own edit is."""
    with opened(tmp_path) as folder:
        folder.groups.assign([1], "pen")
        folder.groups.begin(np.arange(10) % 3)
        begun = state(folder.groups)
        assert folder.groups.undo() is None
        folder.groups.rename(folder.groups.id_of("cluster 0"), "stroma")
        edited = state(folder.groups)
    for _ in range(2):
        with opened(tmp_path) as folder:
            assert state(folder.groups) == edited
            assert folder.groups.undo().name.startswith("rename")
            assert state(folder.groups) == begun
            assert folder.groups.undo() is None
            folder.groups.redo()
    kinds = [record["kind"] for record in read_journal(folder.folder / "journal.jsonl").records]
    assert "begin" not in kinds  # programs before it read all of these


def test_what_is_edited_while_a_beginning_is_written_is_no_part_of_it():
    groups = PointGroups.of_labels(np.arange(6) % 2)
    copy = groups.copied()
    before = state(copy)
    groups.assign([0, 1], "new")
    groups.undo()
    groups.rename(1, "other")
    assert state(copy) == before
    assert not copy.history.edits


def test_rows_in_another_order_and_more_of_them_keep_their_groups(tmp_path):
    with opened(tmp_path) as folder:
        folder.groups.relabel(np.arange(10) % 3)
        folder.groups.assign([1, 4], "pen")
        groups = dict(zip(NAMES, folder.groups.names(), strict=True))
    more = ("a.png", *reversed(NAMES), "b.png")
    with opened(tmp_path, more, "two") as folder:
        assert folder.carried == Carried(10, 2, 0)
        found = dict(zip(more, folder.groups.names(), strict=True))
        assert found == groups | {"a.png": "", "b.png": ""}
        folder.groups.undo()
        assert folder.groups.id_of("pen") is None
        assert folder.groups.names()[more.index("1.png")] == "cluster 1"
        assert folder.groups.names()[0] == ""


def test_rows_that_are_gone_for_a_while_come_back_with_their_groups(tmp_path):
    with opened(tmp_path) as folder:
        folder.groups.relabel(np.arange(10) % 3)
    few = NAMES[:4]
    with opened(tmp_path, few, "two") as folder:
        assert folder.carried == Carried(4, 0, 6)
        folder.groups.delete([3])
        folder.groups.assign([0], 2)
    with opened(tmp_path, few, "two") as folder:
        assert folder.carried == Carried(4, 0, 6)
    with opened(tmp_path, NAMES, "one") as folder:
        assert folder.carried == Carried(10, 0, 0)
        assert list(folder.groups.ids) == [2, 2, NONE, 1, 2, NONE, 1, 2, NONE, 1]


def test_edits_never_land_on_other_rows(tmp_path):
    with opened(tmp_path) as folder:
        folder.groups.relabel(np.arange(10) % 3)
    other = tuple(f"x{name}" for name in NAMES)
    with opened(tmp_path, other, "two") as folder:
        assert folder.carried == Carried(0, 10, 10)
        assert folder.groups.counts()[NONE] == 10
        assert folder.groups.undo() is not None
        assert folder.groups.counts() == {NONE: 10}


def test_rows_that_are_added_while_it_is_open(tmp_path):
    with opened(tmp_path) as folder:
        folder.groups.relabel(np.arange(10) % 3)
        folder.extend(["a.png", "b.png"], "two")
        folder.groups.assign([10], 1)
        with pytest.raises(ValueError, match="two rows have one name"):
            folder.extend(["a.png"], "three")
        before = state(folder.groups)
    with opened(tmp_path, (*NAMES, "a.png", "b.png"), "two") as folder:
        assert state(folder.groups) == before
        assert folder.carried == Carried(12, 0, 0)


def test_absent_rows_that_are_added_while_it_is_open_have_their_groups(tmp_path):
    with opened(tmp_path) as folder:
        folder.groups.relabel(np.arange(10) % 3)
    with opened(tmp_path, NAMES[:4], "two") as folder:
        folder.groups.delete([3])
        folder.extend((*NAMES[4:6], "a.png"), "three")
        before = state(folder.groups)
        assert before[0] == [1, 2, NONE, 1, 2, NONE, NONE]
    with opened(tmp_path, (*NAMES[:6], "a.png"), "three") as folder:
        assert state(folder.groups) == before
        assert folder.carried == Carried(7, 0, 4)


def test_a_long_journal_is_written_anew(tmp_path):
    path = tmp_path / "cells.groups" / "journal.jsonl"
    with opened(tmp_path) as folder:
        for number in range(150):
            folder.groups.assign([number % 10], f"g{number}")
        before = state(folder.groups)
    assert len(read_journal(path).records) == 152
    with opened(tmp_path) as folder:
        assert state(folder.groups) == before
        assert folder.groups.history.undo_name == "make g149"
    assert len(read_journal(path).records) == 2


def test_one_window_at_a_time(tmp_path):
    with opened(tmp_path) as folder:
        with pytest.raises(UserError, match="is open in another window or program"):
            opened(tmp_path)
        assert not folder.is_closed
    folder.close()
    assert folder.is_closed
    assert folder.is_saved


def test_a_folder_of_something_else_is_not_touched(tmp_path):
    (tmp_path / "cells.groups").mkdir()
    (tmp_path / "cells.groups" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is a folder that holds something else, no set of groups"):
        opened(tmp_path)
    assert [path.name for path in (tmp_path / "cells.groups").iterdir()] == ["mine.txt"]


def test_two_rows_of_one_name_are_no_rows(tmp_path):
    with pytest.raises(ValueError, match="two rows have one name"):
        opened(tmp_path, ("a", "a"))


def test_a_newer_version_is_told_and_not_touched(tmp_path):
    path = tmp_path / "cells.groups" / "journal.jsonl"
    opened(tmp_path).close()
    rows, state_ = read_journal(path).records
    path.write_bytes(encode(rows | {"version": 2}) + encode(state_))
    before = path.read_bytes()
    with pytest.raises(UserError, match="has version 2, this program reads up to 1"):
        opened(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("line", [0, 1, 2, 4])
def test_a_damaged_line_is_told_and_the_rest_can_be_opened(tmp_path, line):
    path = tmp_path / "cells.groups" / "journal.jsonl"
    with opened(tmp_path) as folder:
        folder.groups.relabel(np.arange(10) % 3)
        folder.groups.assign([0, 1], "a")
        folder.groups.assign([2, 3], "b")
        folder.groups.delete([1])
        folder.groups.undo()
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 7
    middle = len(lines[line]) // 2
    lines[line] = lines[line][:middle] + b"?" + lines[line][middle + 1 :]
    path.write_bytes(b"".join(lines))
    with pytest.raises(ProjectDamagedError, match=r"cannot read journal\.jsonl\. Copies are in"):
        opened(tmp_path)
    with opened(tmp_path, repair=True) as folder:
        groups = folder.groups
        assert groups.colors().shape == (10, 3)
        assert groups.undo() is None
        if line == 4:
            assert groups.id_of("a") is not None
            assert list(groups.rows_of(groups.id_of("a"))) == [0, 1]
        before = state(groups)
    with opened(tmp_path) as folder:
        assert state(folder.groups) == before
    assert list((tmp_path / "cells.groups" / "damaged").iterdir())


@pytest.mark.parametrize(
    "record",
    [
        {"kind": "what", "seq": 1},
        {"kind": "do", "seq": 1},
        {"kind": "do", "seq": 1, "edit": {"name": "a", "count": 1, "rows": "eJw="}},
        {"kind": "rows", "format": "other", "version": 1},
        {"kind": "rows", "format": "napari-medssl groups", "version": 1, "count": 10**12},
        {},
    ],
)
def test_records_that_make_no_sense_are_damage(tmp_path, record):
    opened(tmp_path).close()
    journal = Journal(tmp_path / "cells.groups" / "journal.jsonl")
    journal.append(record)
    journal.append({"kind": "undo", "seq": 2})
    assert journal.close()
    with pytest.raises(ProjectDamagedError):
        opened(tmp_path)
    with opened(tmp_path, repair=True) as folder:
        assert folder.groups.counts() == {NONE: 10}


CHILD = """
import sys
import numpy as np
from napari_medssl.state.group_folder import GroupFolder
folder = GroupFolder.open(sys.argv[1], [f"{n}.png" for n in range(1000)], "one")
groups = folder.groups
random = np.random.default_rng(int(sys.argv[2]))
if len(groups.groups) < 2:
    groups.relabel(random.integers(0, 5, 1000))
for number in range(10_000):
    groups.assign(random.random(1000) < 0.1, f"g{random.integers(9)}")
    if number % 7 == 3:
        groups.undo()
    if number % 11 == 5:
        groups.recolor(0, tuple(random.integers(0, 256, 3).tolist()))
    folder.flush()
    print(number, groups.next_id, *groups.ids, flush=True)
"""


def test_kill_9_loses_no_edit_that_was_on_disk(tmp_path):
    names = [f"{n}.png" for n in range(1000)]
    for kill in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "k.groups"), str(kill)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(5 + 40 * kill)]
        time.sleep(0.003 * kill)
        os.kill(child.pid, signal.SIGKILL)
        told += child.stdout.readlines()
        child.wait()
        whole = [line for line in told if line.endswith("\n")]
        number, _, *ids = map(int, whole[-1].split())
        with GroupFolder.open(tmp_path / "k.groups", names, "one") as folder:
            found = folder.groups
            assert folder.carried == Carried(1000, 0, 0)
            # One round of edits may have been under way: undo takes it back.
            for _ in range(3):
                if list(found.ids) == ids:
                    break
                found.undo()
            assert list(found.ids) == ids, number
            assert found.colors().shape == (1000, 3)


def test_a_disk_that_refuses_is_told_and_nothing_is_lost(tmp_path, monkeypatch):
    folder = opened(tmp_path)
    really = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "full")))
    folder.groups.assign([1], "a")
    assert not folder.flush(3.0)
    assert "full" in folder.save_error
    assert not folder.is_saved
    monkeypatch.setattr(os, "fsync", really)
    assert folder.flush(10.0)
    folder.close()
    with opened(tmp_path) as folder:
        assert folder.groups.id_of("a") == 1


def test_they_are_beside_the_source_if_that_can_be_written(tmp_path, monkeypatch):
    cells = tmp_path / "cells"
    cells.mkdir()
    assert groups_place(cells) == tmp_path / "cells.groups"
    data = tmp_path / "data"
    url = groups_place("s3://bucket/library", data)
    assert url.parent == data / "groups"
    assert url.name.startswith("library ")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    place = groups_place(cells, data)
    assert place.parent == data / "groups"
    assert place == groups_place(cells, data) != groups_place(tmp_path / "d" / "cells", data)
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda *_, **__: str(data))
    assert groups_place(cells) == place


@pytest.mark.slow
def test_a_million_rows_open_again(tmp_path):
    names = tuple(f"slide-{n // 5000}.svs#{n % 5000},{n}" for n in range(1_000_000))
    labels = np.random.default_rng(0).integers(0, 20, len(names))
    with opened(tmp_path, names) as folder:
        folder.groups.relabel(labels)
        folder.groups.assign(labels < 3, "few")
        assert folder.flush(60)
        ids = folder.groups.ids
    with opened(tmp_path, names) as folder:
        assert (folder.groups.ids == ids).all()


@pytest.mark.parametrize(
    "change", [{"next_id": 10**9}, {"groups": {"1000000000": ["x", [1, 2, 3], True]}}]
)
def test_ids_of_groups_that_would_fill_the_memory_are_damage(change):
    groups = PointGroups.of_labels(np.array([0, 1, 1]))
    record = {**state_record(groups, {}, 1), **change}
    with pytest.raises(ValueError, match=r"next_id is 1000000000|group '1000000000'"):
        restore_state(PointGroups(3), record)
    assert restore_state(PointGroups(3), state_record(groups, {"gone": 1}, 1)) == {"gone": 1}
