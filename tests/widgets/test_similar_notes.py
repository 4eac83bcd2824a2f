"""Concepts, marks, exports and the kept search of the widget "Find similar" in a real window."""

from __future__ import annotations

import shutil

import pytest
from qtpy.QtWidgets import QFileDialog, QInputDialog, QMessageBox
from separation_world import wait_until
from similar_world import MPP, TILE

from napari_medssl.widgets.similar.gallery_model import MARK_ROLE

pytestmark = pytest.mark.gui


@pytest.fixture
def kept(similar_window, tmp_path):
    """The widget on a copy of the library, which may be written to, with a search."""
    world = similar_window
    world.begin(tmp_path, is_open=False)
    shutil.copytree(world.library, tmp_path / "copy.library")
    open_copy(world, tmp_path)
    world.show(0)
    world.pick(300, 200)
    return world


def open_copy(world, folder):
    world.widget.choice.open(folder / "copy.library")
    wait_until(lambda: world.widget.notes.notes is not None and world.session.collection)


def test_the_search_is_there_again(kept, tmp_path):
    kept.click_sign(2, False)
    before = [(one.area, one.is_wanted) for one in kept.session.examples]
    wait_until(lambda: len(kept.widget.notes.notes.query(kept.widget.notes.collection)) == 2)
    kept.begin(tmp_path, is_open=False)  # the widget is closed and opened anew
    wait_until(lambda: len(kept.session.examples) == 2)
    assert [(one.area, one.is_wanted) for one in kept.session.examples] == before
    wait_until(lambda: kept.session.hits)


def test_a_concept_is_kept_chosen_and_counted(kept, tmp_path, monkeypatch):
    panel = kept.widget.concepts
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("glands", True))
    kept.widget.keep_concept()
    assert panel.box.currentText() == "glands"
    kept.pick(900, 200)
    panel.use(kept.widget.notes.concepts()[0])
    kept.settle(0.3)
    wait_until(lambda: not kept.widget.searching.is_busy)
    assert kept.session.examples[0].area.x == 256
    hits = kept.session.hits  # 39 of its kind are in the library, besides the query
    panel.threshold.setValue((hits[38].similarity + hits[39].similarity) / 2)
    panel.count()
    wait_until(lambda: panel.table.rowCount() == 2)
    assert {panel.table.item(row, 1).text() for row in (0, 1)} == {"20"}
    assert panel.table.item(0, 3).text() == f"{20 * (TILE * MPP / 1000) ** 2:.3g}"
    panel.save(tmp_path / "counts.csv")
    wait_until((tmp_path / "counts.csv").exists)
    assert "slide0.svs,80,20" in (tmp_path / "counts.csv").read_text()
    kept.pick(900, 200)
    assert panel.box.currentIndex() == -1  # it is no longer what is searched for
    panel.box.setCurrentIndex(0)
    panel.drop()
    assert panel.box.count() == 0
    assert panel.table.rowCount() == 0  # counts of other examples would be taken for these


def test_the_threshold_of_counts_is_proposed_anew_until_one_is_chosen(kept):
    panel = kept.widget.concepts
    assert panel.threshold.value() == pytest.approx(kept.session.hits[-1].similarity, abs=6e-4)
    kept.click_sign(2, False)
    last = kept.session.hits[-1].similarity
    assert panel.threshold.value() == pytest.approx(last, abs=6e-4)
    panel.threshold.setValue(0.5)
    kept.pick(900, 200)
    assert panel.threshold.value() == 0.5


def test_a_hit_is_marked_from_its_menu(kept, tmp_path):
    view = kept.widget.gallery.view
    hit = kept.session.hits[1]
    menu = view.mark_menu(hit)
    next(a for a in menu.actions() if "right" in a.text()).trigger()
    assert view.model().index(1, 0).data(MARK_ROLE) == "right"
    kept.widget.export.write(tmp_path / "hits.csv")
    wait_until((tmp_path / "hits.csv").exists)
    lines = (tmp_path / "hits.csv").read_text().splitlines()
    assert [",right," in line for line in lines[1:4]] == [False, True, False]


def test_hits_are_exported(kept, tmp_path):
    for kind in ("geojson", "png", "html"):
        kept.widget.export.write(tmp_path / f"hits.{kind}")
        wait_until((tmp_path / f"hits.{kind}").exists)
    kept.settle()
    assert kept.widget.error.isHidden()
    kept.widget.header.mask_entry.trigger()
    kept.widget.export.write(tmp_path / "masked.html")
    kept.widget.export.write(tmp_path / "masked.csv")
    wait_until((tmp_path / "masked.csv").exists)
    for name in ("masked.html", "masked.csv"):
        if (tmp_path / name).exists():
            assert ".svs" not in (tmp_path / name).read_text("utf-8")
    kept.widget.export.write(tmp_path / "no folder" / "hits.csv")
    wait_until(lambda: "Cannot write" in kept.widget.error.text())


def test_a_library_that_another_window_writes_is_searched_all_the_same(kept, tmp_path):
    from napari_medssl.widgets.similar import SimilarWidget

    second = SimilarWidget(kept.viewer, tmp_path / "other.json")
    second.choice.open(tmp_path / "copy.library")
    wait_until(lambda: "is open in another window" in second.error.text())
    assert second.session.collection is not None
    second.shut_down()
    second.deleteLater()


def test_counts_follow_the_threshold(kept, tmp_path, monkeypatch):
    panel = kept.widget.concepts
    hits = kept.session.hits
    panel.threshold.setValue(-1.0)
    panel.count()
    wait_until(lambda: panel.table.rowCount() == 2)
    assert {panel.table.item(row, 1).text() for row in (0, 1)} == {"80"}
    kept.widget.heatmap.set_threshold((hits[38].similarity + hits[39].similarity) / 2)
    assert not panel.table.isEnabled()  # until they are counted anew
    wait_until(panel.table.isEnabled)
    assert {panel.table.item(row, 1).text() for row in (0, 1)} == {"20"}
    named = str(tmp_path / "counts"), ""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: named)
    panel.ask_save()
    wait_until((tmp_path / "counts.csv").exists)


def test_a_concept_is_neither_replaced_nor_forgotten_unasked(kept, monkeypatch):
    panel = kept.widget.concepts
    asked, may = [], [QMessageBox.StandardButton.No]
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("glands", True))
    monkeypatch.setattr(QMessageBox, "question", lambda *words: asked.append(words[2]) or may[0])
    panel.ask_keep()
    panel.ask_keep()  # the same examples with another threshold
    assert not asked
    kept.pick(900, 200)
    panel.ask_keep()
    (concept,) = kept.widget.notes.concepts()
    assert concept.examples[0].area.x == 256
    panel.use(concept)
    panel.ask_drop()
    assert kept.widget.notes.concepts() == (concept,)
    assert asked == [
        "There is a concept 'glands'. Replace its examples?",
        "Forget the concept 'glands'?",
    ]
    may[0] = QMessageBox.StandardButton.Yes
    panel.ask_drop()
    assert not kept.widget.notes.concepts()


def test_it_is_told_that_the_disk_takes_no_notes(kept, monkeypatch):
    keeper = kept.widget.notes
    monkeypatch.setattr("napari_medssl.state.journal._RETRY_S", 0.05)
    with monkeypatch.context() as patch:
        patch.setattr(keeper.notes._journal, "_write", lambda _: "No space left on device")
        keeper.keep_concept("glands", None)
        wait_until(lambda: "cannot be saved: No space left" in kept.widget.error.text())
    wait_until(lambda: "are saved again" in kept.widget.status.text())
    assert keeper.save_error is None


def test_a_library_that_is_gone_is_not_taken_for_an_empty_one(kept, tmp_path):
    library = tmp_path / "copy.library"
    library.rename(tmp_path / "away.library")
    kept.widget.choice.refresh()
    wait_until(lambda: "There is no library" in kept.widget.error.text())
    assert len(kept.session.records) == 2
    assert kept.session.hits
    kept.widget.index_front()
    wait_until(lambda: not kept.widget.indexing.jobs.is_busy)
    assert "There is no library" in kept.widget.indexing.jobs.job.error
    assert not library.exists()  # no second one is begun in its place
    (tmp_path / "away.library").rename(library)
