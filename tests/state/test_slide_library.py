"""A library of slides: what it says of them, and that nothing is lost."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.state.project_files import ProjectDamagedError
from napari_medssl.state.slide_entry import (
    CHANGED,
    MISSING,
    NO_MPP,
    SlideEntry,
    SlideState,
    entry_from_row,
    glance_at,
    look_at,
    new_alias,
)
from napari_medssl.state.slide_library import SlideLibrary


@pytest.fixture
def picture(tmp_path):
    """A plain picture, which is a slide without mpp."""
    path = tmp_path / "patient Meier.png"
    Image.fromarray(np.full((40, 60, 3), 200, np.uint8)).save(path)
    return path


@pytest.fixture
def library(tmp_path):
    with SlideLibrary.open(tmp_path / "mine.slides") as opened:
        yield opened


def test_what_was_found_is_there_after_a_reopening(tmp_path, picture):
    with SlideLibrary.open(tmp_path / "mine.slides") as library:
        (key,) = library.add([str(picture)])
        library.store.note({key: look_at(library.store[key])})
        alias = library.store[key].alias
    with SlideLibrary.open(tmp_path / "mine.slides") as library:
        entry = library.store[key]
    assert (entry.width, entry.height, entry.mpp) == (60, 40, None)
    assert entry.problem == NO_MPP
    assert entry.is_readable
    assert entry.alias == alias
    assert entry.state == SlideState.LINKED


def test_a_slide_is_on_the_list_once(library, picture):
    assert len(library.add([str(picture), str(picture)])) == 1
    assert library.add([str(picture)]) == ()


def test_masked_names_are_stable_and_tell_nothing(library, picture):
    (key,) = library.add([str(picture)])
    entry = library.store[key]
    assert entry.title(is_masked=False) == "patient Meier.png"
    masked = entry.title(is_masked=True)
    assert masked == entry.title(is_masked=True)
    assert masked.startswith("S-")
    assert len(masked) == 7
    assert "Meier" not in masked


def test_aliases_are_not_given_twice():
    taken = set()
    for _ in range(2000):
        taken.add(new_alias(taken))
    assert len(taken) == 2000


def test_removing_can_be_undone_and_files_stay(library, picture):
    (key,) = library.add([str(picture)])
    seen = look_at(library.store[key])
    library.store.note({key: seen})
    library.remove([key])
    assert len(library.store) == 0
    assert picture.exists()
    library.store.undo()
    assert library.store[key] == seen
    library.store.undo()
    assert len(library.store) == 0


def test_noting_is_no_step_to_undo(library, picture):
    (key,) = library.add([str(picture)])
    library.store.note({key: look_at(library.store[key])})
    assert len(library.store.history) == 1
    library.store.note({99: SlideEntry("gone")})
    assert 99 not in library.store


@pytest.mark.parametrize("look", [look_at, glance_at])
def test_problems_are_told_in_words(picture, look):
    entry = look_at(SlideEntry(str(picture)))
    picture.rename(picture.with_name("elsewhere.png"))
    gone = look(entry)
    assert gone.problem == MISSING
    assert not gone.is_readable
    picture.with_name("elsewhere.png").rename(picture)
    assert look(gone) == entry
    picture.write_bytes(picture.read_bytes()[:60])
    cut = look(entry)
    assert not cut.is_readable
    assert "Cannot" in cut.problem


def test_another_content_is_told_until_it_is_accepted(picture):
    entry = look_at(SlideEntry(str(picture), converted="somewhere"))
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(picture)
    os.utime(picture, ns=(1, 1))
    changed = look_at(entry)
    assert changed.problem == CHANGED
    assert changed.fingerprint == entry.fingerprint
    assert glance_at(entry).problem == CHANGED
    accepted = look_at(changed, is_new=True)
    assert accepted.problem == NO_MPP
    assert accepted.fingerprint != entry.fingerprint
    assert accepted.converted == ""


def test_a_glance_opens_nothing_that_looks_the_same(picture, monkeypatch):
    entry = look_at(SlideEntry(str(picture)))

    def refuse(_):
        raise AssertionError("opened")

    monkeypatch.setattr("napari_medssl.state.slide_entry.open_slide", refuse)
    assert glance_at(entry) == entry


def test_a_lost_store_and_a_lost_index_are_noticed(picture, tmp_path):
    gone = str(tmp_path / "gone.ome.zarr")
    entry = look_at(SlideEntry(str(picture), converted=gone))
    assert entry.state == SlideState.CONVERTED
    assert glance_at(entry).state == SlideState.LINKED
    entry = look_at(SlideEntry(str(picture), converted=str(tmp_path), index=gone))
    assert entry.state == SlideState.INDEXED
    assert glance_at(entry).state == SlideState.CONVERTED


def test_what_was_made_of_a_slide_gives_its_state(library, picture):
    (key,) = library.add([str(picture)])
    library.store.note({key: look_at(library.store[key])})
    fingerprint = library.store[key].fingerprint
    library.note_made(str(picture), fingerprint, converted="store")
    assert library.store[key].state == SlideState.CONVERTED
    library.note_made(str(picture), fingerprint, index="index")
    assert library.store[key].state == SlideState.INDEXED
    assert library.store[key].converted == "store"
    library.note_made(str(picture), "another", index="")  # of what the slide was before
    library.note_made("elsewhere.svs", fingerprint, index="")
    assert library.store[key].state == SlideState.INDEXED
    library.note_made(str(picture), fingerprint, index="")
    assert library.store[key].state == SlideState.CONVERTED


def test_a_look_that_took_long_undoes_nothing(library, picture):
    (key,) = library.add([str(picture)])
    before = library.store[key]
    seen = look_at(before)
    library.note_made(str(picture), "", converted="store")  # while it was looked at
    library.note_seen({key: (before, seen), 99: (before, seen)})
    assert library.store[key].fingerprint == seen.fingerprint
    assert library.store[key].converted == "store"


def test_followed_folders_and_masking_are_kept(tmp_path):
    place = tmp_path / "mine.slides"
    library = SlideLibrary.open(place)
    library.follow(tmp_path / "scans")
    library.mask(True)
    assert library.flush()
    library._journal.close()  # as a kill leaves it
    library._lock.release()
    with SlideLibrary.open(place) as again:
        assert again.followed == (str(tmp_path / "scans"),)
        assert again.is_masked
    with SlideLibrary.open(place) as again:
        assert again.is_masked


def test_relocating_takes_the_same_slide_only(library, picture, tmp_path):
    (key,) = library.add([str(picture)])
    library.store.note({key: look_at(library.store[key])})
    alias = library.store[key].alias
    moved = tmp_path / "moved.png"
    picture.rename(moved)
    library.note_made(str(picture), "", converted="store", index="index")
    library.relocate(key, look_at(SlideEntry(str(moved))))
    assert library.store[key].source == str(moved)
    assert (library.store[key].converted, library.store[key].index) == ("store", "index")
    assert library.store[key].alias == alias
    other = tmp_path / "other.png"
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(other)
    with pytest.raises(UserError, match=r"is another slide than 'moved.png' was"):
        library.relocate(key, look_at(SlideEntry(str(other))))
    with pytest.raises(UserError, match="missing: no such file"):
        library.relocate(key, look_at(SlideEntry(str(tmp_path / "none.png"))))


def test_regions_have_a_place_for_each_content(library, picture):
    fingerprint = look_at(SlideEntry(str(picture))).fingerprint
    place = library.regions_folder(fingerprint)
    assert place.parent == library.folder / "regions"
    assert place.parent.is_dir()


def test_entries_survive_json():
    entry = SlideEntry("a", "S-1", 3, 4, (0.5, 0.25), 9, 8, "f", "c", "i", "p", False)
    assert entry_from_row(json.loads(json.dumps(entry.to_row()))) == entry
    assert entry.state == SlideState.INDEXED


def test_two_windows_do_not_share_a_library(library):
    with pytest.raises(UserError, match="open in another window"):
        SlideLibrary.open(library.folder)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("dear all")
    with pytest.raises(UserError, match="holds something else, no library"):
        SlideLibrary.open(tmp_path)


def test_a_damaged_list_is_told_and_kept(tmp_path, picture):
    place = tmp_path / "mine.slides"
    with SlideLibrary.open(place) as library:
        library.add([str(picture)])
    (place / "library.jsonl").write_text("{")
    with pytest.raises(ProjectDamagedError, match=r"library .* is damaged: cannot read library"):
        SlideLibrary.open(place)
    with SlideLibrary.open(place, repair=True) as library:
        assert len(library.store) == 0
    assert any((place / "damaged").iterdir())


def test_a_newer_version_is_refused(tmp_path):
    place = tmp_path / "mine.slides"
    SlideLibrary.open(place).close()
    path = place / "library.jsonl"
    path.write_text(path.read_text().replace('"version":1', '"version":99'))
    with pytest.raises(UserError, match="has version 99"):
        SlideLibrary.open(place)


_CHILD = """
import sys, time
from napari_medssl.state.slide_library import SlideLibrary
library = SlideLibrary.open(sys.argv[1])
for number in range(1000):
    library.add([f"/none/{number}.svs"])
    print(number, time.time(), flush=True)
    time.sleep(0.01)
"""


def test_kill_9_loses_less_than_2_s(tmp_path):
    place = tmp_path / "mine.slides"
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(place)], stdout=subprocess.PIPE, text=True
    )
    times = []
    for line in child.stdout:
        times.append(float(line.split()[1]))
        if times[-1] - times[0] > 2.5:
            break
    child.kill()
    killed = time.time()
    child.wait()
    due = sum(at < killed - 2.0 for at in times)
    assert due > 3
    with SlideLibrary.open(place) as library:
        assert len(library.store) >= due
        library.store.undo()
