"""The map and the slides of the window: fly there, select there, and hide names here too."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from map_world import wait_until
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from similar_world import CONFIG, TILE, SimilarWorld, write_slide

from napari_medssl.backend.index_slides import index_slides
from napari_medssl.backend.map_library import source_of_library
from napari_medssl.widgets.slides import SlidesWidget

pytestmark = pytest.mark.gui
NAMES = ("miller", "smith")


class SlideMouse(SimilarWorld):
    """Clicks and drags on the slide in front."""

    def __init__(self, world):
        self.viewer = world.viewer
        self.widget = SimpleNamespace(places=world.widget.slides.link.places)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    slides = [str(write_slide(folder / f"{name}.svs", n)) for n, name in enumerate(NAMES)]
    table = folder / "patients.csv"
    table.write_text("slide,patient\nmiller.svs,Miller\nsmith.svs,Smith\n")
    made = folder / "tiles.library"
    index_slides(slides, made, replace(CONFIG, patients=table))
    return made


@pytest.fixture
def tiles(embedding_map, library):
    """The map of the tiles of two slides, linked with the window."""
    embedding_map.work.source = source_of_library(library)
    embedding_map.open(library)
    wait_until(lambda: embedding_map.widget.slides.link is not None)
    return embedding_map


@pytest.fixture
def slides(tiles, tmp_path):
    """The widget "Slides" beside."""
    made = SlidesWidget(tiles.viewer, tmp_path / "libraries")
    tiles.viewer.window.add_dock_widget(made, name="Slides", area="right")
    yield made
    made.session.mask(False)
    made.shut_down()
    tiles.viewer.window.remove_dock_widget(made)
    made.deleteLater()
    tiles.settle(0.1)


def fly(world, row):
    """Double-click a picture of the gallery."""
    world.session.selection.replace([row])
    view = world.widget.gallery.view
    place = view.visualRect(view.model().index(0, 0)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    link = world.widget.slides.link
    wait_until(lambda: link.places.front is not None and not link.fly.is_opening)
    world.settle(0.2)


def words_of(world, row):
    """Return all words in which the map tells of a row."""
    widget, session = world.widget, world.session
    session.selection.replace([row])
    index = widget.gallery.view.model().index(0, 0)
    roles = Qt.ItemDataRole
    lines = [index.data(roles.DisplayRole), index.data(roles.ToolTipRole), *session.facts(row)]
    table = widget.groups.legend.table
    for column in ("slide", "patient"):
        session.color_by(column)
        for number in range(table.rowCount()):
            lines += [table.item(number, 0).text(), table.item(number, 0).toolTip()]
    lines += [widget.error.text(), widget.status.text()]
    return "\n".join(lines).casefold()


def test_a_double_click_flies_and_a_box_on_the_slide_selects_what_is_shown(tiles):
    session, link = tiles.session, tiles.widget.slides.link
    fly(tiles, 0)
    mouse = SlideMouse(tiles)
    tile = session.source.pictures[0]
    assert mouse.middle() == pytest.approx((tile.x + TILE / 2, tile.y + TILE / 2), abs=1)
    tiles.viewer.reset_view()
    tiles.settle(0.2)
    link.pick.set_mode("box")
    mouse.drag_slide((TILE / 4, TILE / 4), (2.75 * TILE, 1.75 * TILE))
    assert len(session.selection) == 6
    session.filter("x", session.source.columns["x"] > 0)
    mouse.drag_slide((TILE / 4, TILE / 4), (2.75 * TILE, 1.75 * TILE))
    assert len(session.selection) == 4
    assert session.shown[session.selection.rows].all()
    session.filter("x", None)
    link.pick.set_mode("")


def test_names_that_are_hidden_in_the_widget_slides_are_hidden_on_the_map(tiles, slides):
    fly(tiles, 0)
    assert "miller" in words_of(tiles, 0)
    clusters = tiles.session.clusters
    before = [group.name for group in clusters.groups.values()]
    tiles.widget.messages.tell("Nobody knows where 'smith.svs#0,0' is.", True)
    slides.session.mask(True)
    last = tiles.session.count - 1
    for row in (0, last):
        words = words_of(tiles, row)
        assert not any(name in words for name in NAMES)
    assert tiles.session.title(0) != tiles.session.title(last)
    assert tiles.session.title(0).endswith("#0,0")
    assert "patient: " not in words_of(tiles, 0)
    tiles.session.color_by("slide")
    table = tiles.widget.groups.legend.table
    table.item(0, 0).setCheckState(Qt.CheckState.Unchecked)
    assert not tiles.session.shown.all()
    assert {group.name for group in tiles.session.coloring.groups.values()} >= {"miller.svs"}
    assert [group.name for group in clusters.groups.values()] == before
    slides.session.mask(False)
    assert "miller" in words_of(tiles, 0)


def test_a_widget_slides_that_was_opened_later_hides_names_too(tiles, slides):
    assert tiles.widget.slides.link.places.front is None  # no layer tells of it
    slides.session.mask(True)
    wait_until(lambda: tiles.session.names.is_masked)
    assert not any(name in words_of(tiles, 0) for name in NAMES)
    slides.session.mask(False)
    wait_until(lambda: not tiles.session.names.is_masked)


def test_names_are_hidden_from_the_first_on(tiles, slides, library):
    slides.session.mask(True)
    tiles.open(library)
    tiles.session.open(None)
    tiles.widget.open(library)
    wait_until(lambda: tiles.session.count)
    assert not any(name in words_of(tiles, 0) for name in NAMES)
    wait_until(lambda: not tiles.widget.making.jobs.is_busy)
