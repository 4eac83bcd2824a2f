"""What a lasso on the map selects is labelled next in the widget "Segmentation"."""

from __future__ import annotations

import numpy as np
import pytest
from map_world import group_of, make_source, wait_until
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from segmentation_world import BrightEngine, HeldReading
from similar_world import CONFIG, MPP, TILE, write_slide

from napari_medssl.backend.index_slides import index_slides
from napari_medssl.backend.map_library import source_of_library
from napari_medssl.io.images import read_image
from napari_medssl.io.region_pictures import read_region_record
from napari_medssl.state.mask_folder import MaskFolder
from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets.embedding_map.palette import PALETTE
from napari_medssl.widgets.segmentation import SegmentationWidget, slide_regions

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


class Both:
    """The map, and the widget "Segmentation" beside it."""

    def __init__(self, world, widget):
        self.map, self.widget, self.session = world, widget, widget.session

    def ask(self):
        """Press the button below the map, and wait until the pictures have come."""
        button = self.map.widget.bar.label_button
        assert button.isEnabled()
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        self.wait()

    def wait(self):
        wait_until(lambda: "Looking for" not in self.map.widget.status.text())
        wait_until(lambda: not self.widget.files.is_busy)
        layers = self.widget.layers
        wait_until(lambda: layers.front is not None or self.session.image is None)
        self.map.settle()

    def queue(self):
        """Names of the images in the order of Q, the one in front first."""
        names = [self.session.item.name]
        for _ in range(len(self.session.store)):
            self.widget.review.go_next()
            if self.session.item.name in names:
                break
            names.append(self.session.item.name)
        return names

    def paint(self):
        """Paint in the image in front, and wait until that is in the set."""
        key = self.session.image
        self.widget.layers.layer(key).data_setitem((np.array([2, 3]), np.array([2, 3])), 1)
        wait_until(lambda: self.session.store[key].is_edited)
        return self.session.store[key].name


@pytest.fixture
def both(embedding_map, tmp_path):
    widget = SegmentationWidget(
        embedding_map.viewer, BrightEngine(), tmp_path / "sets", tmp_path / "models"
    )
    embedding_map.viewer.window.add_dock_widget(widget, name="Segmentation", area="right")
    made = Both(embedding_map, widget)
    yield made
    close(embedding_map, widget)
    vars(made).clear()  # pytest keeps it for a while, and with it the window


def close(world, widget):
    widget.shut_down()
    world.viewer.window.remove_dock_widget(widget)
    widget.close()
    widget.deleteLater()
    world.settle(0.1)


@pytest.fixture
def asked(monkeypatch):
    """Questions that were asked; `answer` is what a person says to them."""

    class Asked(list):
        answer = True

    made = Asked()

    def may(_parent, _title, text):
        made.append(text)
        return made.answer

    monkeypatch.setattr(questions, "may", may)
    return made


def names_of(rows):
    return {f"p{row:03d}.png" for row in rows}


def test_a_lasso_gives_the_next_images_and_of_two_bundles_the_first_two_are_one_each(both, asked):
    both.map.draw_around(0)
    both.map.draw_around(1, Qt.KeyboardModifier.ShiftModifier)
    assert both.map.selected() == both.map.rows_of(0, 1)
    both.ask()
    assert not asked
    assert {item.name for item in both.session.store.as_dict().values()} == names_of(
        both.map.rows_of(0, 1)
    )
    assert "40 pictures handed to Segmentation" in both.map.widget.status.text()
    assert "40 images come first now; Q goes on." in both.widget.status.text()
    assert both.widget.review.next_button.isVisible()
    queue = both.queue()
    assert len(queue) == 40
    assert {group_of(int(name[1:4])) for name in queue[:2]} == {0, 1}


def test_where_no_set_is_open_it_is_that_of_the_folder_with_what_was_painted_there(both, asked):
    folder = both.map.folder / "pictures"
    both.widget.files.add_paths([folder])
    both.wait()
    key = list(both.session.store)[3]  # p003.png, of group 0
    both.session.choose(key)
    both.wait()
    wait_until(lambda: both.widget.layers.front == key)
    both.paint()
    place = both.session.folder.folder
    both.widget.files.close_set()
    both.map.draw_around(0)
    both.ask()
    assert both.session.folder.folder == place
    assert len(both.session.store) == 60
    assert not asked
    assert "19 images come first now" in both.widget.status.text()
    assert "1 more has a mask of yours already." in both.widget.status.text()
    queue = both.queue()
    assert set(queue[:19]) == names_of(both.map.rows_of(0)) - {"p003.png"}
    assert "p003.png" not in queue


def test_another_set_is_asked_for_and_a_no_leaves_it_as_it_was(both, asked, tmp_path):
    make_source(tmp_path / "others", 4)
    both.widget.files.add_paths([tmp_path / "others"])
    both.wait()
    both.map.draw_around(2)
    asked.answer = False
    both.ask()
    assert asked[0].startswith("20 pictures are not in the set 'others' that is open: p0")
    assert "nothing is copied" in asked[0]
    assert len(both.session.store) == 4
    assert "the set is as it was" in both.widget.status.text()
    asked.answer = True
    both.ask()
    assert len(both.session.store) == 24
    sources = {item.source for item in both.session.store.as_dict().values()}
    assert str(both.map.folder / "pictures" / "p002.png") in sources
    assert not (both.session.folder.folder / "images").exists()
    both.ask()  # all are there now: nothing is asked
    assert len(asked) == 2
    assert len(both.session.store) == 24


def test_the_set_of_the_folder_takes_what_the_next_lasso_selects_unasked(both, asked):
    for group, count in ((0, 20), (2, 40)):
        both.map.draw_around(group)
        both.ask()
        assert len(both.session.store) == count
        assert "20 images come first now" in both.widget.status.text()
        assert group_of(int(both.session.item.name[1:4])) == group
    assert not asked


def test_a_map_that_is_closed_meanwhile_hands_nothing_over_and_says_so(both):
    both.map.draw_around(0)
    QTest.mouseClick(both.map.widget.bar.label_button, LEFT)
    both.map.session.open(None)
    wait_until(lambda: "The map was closed" in both.map.widget.status.text())
    assert both.session.folder is None


def test_pictures_of_yours_do_not_come_first(both, asked):
    both.map.session.selection.replace([0, 1])
    both.ask()
    for _ in range(2):
        both.paint()
        both.widget.review.go_next()
        wait_until(lambda: both.widget.layers.front is not None)
    both.ask()
    assert "All 2 have masks of yours already: nothing comes first." in both.widget.status.text()


def test_missing_files_and_nothing_selected_are_one_plain_line(both):
    widget = both.map.widget
    assert not widget.bar.label_button.isEnabled()
    widget.label_next()
    assert widget.error.text().startswith("No point is selected.")
    both.map.session.selection.replace([0, 1, 2])
    (both.map.folder / "pictures" / "p001.png").unlink()
    both.ask()
    assert widget.error.text().startswith("2 pictures handed to Segmentation")
    assert "The picture 'p001.png' cannot be found." in widget.error.text()
    assert len(both.session.store) == 2
    for row in (0, 2):
        (both.map.folder / "pictures" / f"p{row:03d}.png").unlink()
    both.ask()
    assert widget.error.text().startswith("3 pictures cannot be found, such as ")


def test_what_is_picked_will_do_and_the_key_is_that_of_the_table(both):
    both.map.session.picked.replace([7])
    both.map.map.setFocus()
    QTest.keyClick(both.map.map, Qt.Key.Key_L, Qt.KeyboardModifier.ShiftModifier)
    wait_until(lambda: both.session.image is not None)
    both.wait()
    assert both.session.item.name == "p007.png"


def test_a_set_that_is_still_being_opened_is_waited_for(both, asked, tmp_path):
    make_source(tmp_path / "others", 4)
    both.map.session.selection.replace([5])
    both.widget.files.add_paths([tmp_path / "others"])
    both.widget.next_images.take([both.map.session.source.pictures[5]], both.map.folder)
    both.wait()
    assert len(asked) == 1
    assert len(both.session.store) == 5
    assert both.session.item.source.endswith("pictures/p005.png")


@pytest.fixture
def tiles(both, tmp_path):
    """The map of the tiles of a slide."""
    slide = write_slide(tmp_path / "miller.svs", 0)
    index_slides([str(slide)], tmp_path / "tiles.library", CONFIG)
    both.map.work.source = source_of_library(tmp_path / "tiles.library")
    both.map.open(tmp_path / "tiles.library")
    wait_until(lambda: both.map.widget.slides.link is not None)
    return both


def test_tiles_become_pictures_of_the_size_of_pixel_asked_for(tiles, monkeypatch):
    questions_asked = []

    def answer(_parent, _title, text, *_):
        questions_asked.append(text)
        return 2 * MPP, True

    monkeypatch.setattr(slide_regions.QInputDialog, "getDouble", answer)
    tiles.map.session.selection.replace([3, 40, 61])
    tiles.ask()
    assert questions_asked[0].startswith("3 tiles of slides. They become pictures")
    wait_until(lambda: "3 images come first now" in tiles.widget.status.text())
    pictures = tiles.map.session.source.pictures
    due = {(pictures[row].x, pictures[row].y) for row in (3, 40, 61)}
    items = list(tiles.session.store.as_dict().values())
    records = [read_region_record(item.ref.path) for item in items]
    assert {(record.x, record.y) for record in records} == due
    assert {record.slide for record in records} == {"miller"}
    assert {read_image(item.ref).shape for item in items} == {(TILE // 2, TILE // 2, 3)}
    tiles.paint()
    tiles.ask()  # the same again: they are known, and the one that is painted does not come first
    wait_until(lambda: "2 images come first now" in tiles.widget.status.text())
    assert len(tiles.session.store) == 3


def test_tiles_that_were_read_before_cancel_are_the_next(tiles, monkeypatch):
    held = HeldReading(monkeypatch, 3)
    monkeypatch.setattr(slide_regions.QInputDialog, "getDouble", lambda *_: (2 * MPP, True))
    tiles.map.session.selection.replace([3, 40, 61, 62])
    QTest.mouseClick(tiles.map.widget.bar.label_button, LEFT)
    wait_until(held.reached.is_set)
    QTest.mouseClick(tiles.widget.reader.jobs._cancel, LEFT)
    wait_until(lambda: "Stopped. 2 of 4 regions are in the set" in tiles.widget.status.text())
    tiles.wait()
    assert len(tiles.session.store) == 2
    assert len(set(tiles.queue())) == 2


def test_the_dock_is_opened_where_it_is_not_and_one_that_was_closed_is_told(
    embedding_map, tmp_path, monkeypatch
):
    from napari.plugins import _initialize_plugins

    _initialize_plugins()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    embedding_map.draw_around(1)
    embedding_map.widget.label_next()
    docked = embedding_map.viewer.window.dock_widgets
    found = [None]

    def is_there():
        found[:] = [w for w in docked.values() if isinstance(w, SegmentationWidget)]
        return found

    wait_until(is_there)
    widget = found[0]
    both = Both(embedding_map, widget)
    wait_until(lambda: len(both.session.store) == 20)
    both.wait()
    assert widget.isVisible()
    assert isinstance(both.session.folder, MaskFolder)
    assert both.session.folder.folder.is_relative_to(tmp_path / "data")
    widget.shut_down()
    embedding_map.widget.label_next()
    wait_until(lambda: "was closed" in embedding_map.widget.error.text())
    close(embedding_map, widget)


def test_the_manifest_holds_the_command_of_the_table():
    from npe2 import PluginManifest

    commands = PluginManifest.from_distribution("napari-medssl").contributions.commands
    titles = {command.id: command.title for command in commands}
    entry = next(e for e in PALETTE.manifest_entries() if e["id"] == "napari-medssl.map_label")
    assert titles[entry["id"]] == entry["title"]
