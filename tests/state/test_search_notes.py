"""Searches, concepts and marks of a library survive closing and killing."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.state.search_examples import Area, Example
from napari_medssl.state.search_notes import Concept, SearchNotes

AREA = Area("f" * 32, 128, 256, 64, 64)


def example(seed=0, area=AREA, *, is_wanted=True):
    vector = np.random.default_rng(seed).normal(size=8)
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return Example(vector, area, "/slides/a.svs", is_wanted, is_indexed=area is not None)


def same(one, other):
    return (
        np.array_equal(one.vector, other.vector)
        and (one.area, one.source) == (other.area, other.source)
        and (one.is_wanted, one.is_indexed) == (other.is_wanted, other.is_indexed)
    )


def test_what_was_kept_is_there_again(tmp_path):
    examples = (example(0), example(1, None, is_wanted=False))
    notes = SearchNotes.open(tmp_path)
    notes.keep_query("c", examples)
    notes.keep_concept(Concept("glands", "c", examples, 0.7))
    notes.keep_concept(Concept("fat", "c", examples[:1]))
    notes.keep_concept(Concept("fat", "other", examples[:1]))
    notes.drop_concept("c", "fat")
    notes.mark(AREA, "right")
    assert notes.close()
    again = SearchNotes.open(tmp_path)
    assert all(map(same, again.query("c"), examples))
    (concept,) = again.concepts("c")
    assert (concept.name, concept.threshold) == ("glands", 0.7)
    assert all(map(same, concept.examples, examples))
    assert [one.name for one in again.concepts("other")] == ["fat"]
    assert dict(again.marks) == {AREA: "right"}
    again.mark(AREA, "")
    again.close()
    last = SearchNotes.open(tmp_path)
    assert not last.marks
    last.close()


def test_two_windows_do_not_write_at_once(tmp_path):
    notes = SearchNotes.open(tmp_path)
    with pytest.raises(UserError, match=r"searches folder .* is open in another window"):
        SearchNotes.open(tmp_path)
    notes.close()
    SearchNotes.open(tmp_path).close()


def test_the_journal_is_made_shorter(tmp_path):
    notes = SearchNotes.open(tmp_path)
    for seed in range(150):
        notes.keep_query("c", (example(seed),))
    notes.close()
    path = tmp_path / "searches" / "journal.jsonl"
    assert path.read_bytes().count(b"\n") == 150
    notes = SearchNotes.open(tmp_path)
    assert path.read_bytes().count(b"\n") == 1
    assert same(notes.query("c")[0], example(149))
    notes.close()


def test_records_that_make_no_sense_are_passed_over(tmp_path):
    notes = SearchNotes.open(tmp_path)
    journal = notes._journal
    journal.append({"kind": "query", "collection": "c", "examples": [{"vector": "!"}]})
    journal.append({"kind": "mark", "area": ["f", 1], "words": "right"})
    journal.append({"what": 1})
    notes.mark(AREA, "wrong")
    notes.close()
    again = SearchNotes.open(tmp_path)
    assert dict(again.marks) == {AREA: "wrong"}
    again.close()


CHILD = """
import sys, time
from pathlib import Path
from napari_medssl.state.search_examples import Area
from napari_medssl.state.search_notes import SearchNotes
notes = SearchNotes.open(Path(sys.argv[1]))
for number in range(10**6):
    notes.mark(Area("f", number, 0, 1, 1), "right")
    notes._journal.flush()
    print(number, flush=True)
"""


def test_a_kill_loses_nothing_that_was_on_disk(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    while int(child.stdout.readline()) < 5:
        pass
    time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    told = [5, *map(int, child.stdout.read().split("\n")[:-1])]
    child.wait()
    notes = SearchNotes.open(tmp_path)
    numbers = {int(area.x) for area in notes.marks}
    assert numbers >= set(range(max(told) + 1))
    assert len(numbers) <= max(told) + 2
    notes.close()
