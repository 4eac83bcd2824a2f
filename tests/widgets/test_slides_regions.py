"""Regions in a real window: drawn, moved, undone, given a class, exported, kept."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import shapely
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QColor, QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QColorDialog, QInputDialog
from slides_world import NO_KEYS, wait_until

from napari_medssl.io.geojson import read_geojson, write_geojson
from napari_medssl.io.geojson.feature import Feature, Roi, rectangle
from napari_medssl.state.region_folder import RegionFolder
from napari_medssl.widgets.slides.region_layer import MOST_SHAPES

pytestmark = pytest.mark.gui
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


class Regions:
    """A slide with its regions open, and shorter words for what tests look at."""

    def __init__(self, slides):
        self.slides = slides
        self.panel = slides.widget.regions
        slides.widget.pages.setCurrentWidget(self.panel)
        slides.show(0)
        wait_until(lambda: self.panel.session.store is not None)
        slides.settle(0.1)

    @property
    def store(self):
        return self.panel.session.store

    @property
    def layer(self):
        return self.panel.layer.layer

    def rois(self):
        return [self.store.region(key).feature.roi for key in self.store.region_keys()]

    def tool(self, text):
        button = next(b for b in self.panel.tools if b.text() == text)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        self.slides.settle()

    def assert_in_step(self):
        """The layer shows exactly the shapes of the store."""
        from napari_medssl.widgets.slides.region_parts import parts_of

        self.slides.settle(0.2)
        radius = self.panel.layer._point_radius()
        due = [part.vertices for roi in self.rois() for part in parts_of(roi, radius)]
        shown = [np.asarray(shape) for shape in self.layer.data]
        assert len(shown) == len(due)
        for vertices in due:  # napari keeps 32 bits
            alike = [shape for shape in shown if shape.shape == vertices.shape]
            assert any(np.allclose(shape, vertices, atol=0.01) for shape in alike)


@pytest.fixture
def regions(slides):
    return Regions(slides)


def test_a_rectangle_is_drawn_undone_and_done_again(regions):
    regions.tool("Rect")
    regions.slides.drag((400, 300), (900, 800))
    regions.slides.settle(0.1)
    (roi,) = regions.rois()
    assert roi.kind == "rectangle"
    assert roi.shape.bounds == pytest.approx((400, 300, 900, 800), abs=8)
    key = regions.store.region_keys()[0]
    assert regions.store.feature(key).class_name == "Tumor"
    regions.assert_in_step()
    regions.slides.press(Qt.Key.Key_Z, CTRL)
    assert regions.rois() == []
    regions.assert_in_step()
    regions.slides.press(Qt.Key.Key_Z, CTRL | SHIFT)
    assert len(regions.rois()) == 1
    regions.assert_in_step()


def test_a_polygon_is_clicked(regions):
    regions.tool("Polygon")
    for x, y in ((300, 300), (900, 350), (800, 900)):
        regions.slides.click(x, y)
    double_click(regions.slides, 400, 800)
    regions.slides.settle(0.2)
    (roi,) = regions.rois()
    assert roi.kind == "polygon"
    assert roi.shape.area > 150_000
    regions.assert_in_step()


def double_click(slides, x, y):
    slides.hover(x, y)
    at = slides.point(x, y)
    for kind in (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease):
        send(slides, kind, at)
    for kind in (QEvent.Type.MouseButtonDblClick, QEvent.Type.MouseButtonRelease):
        send(slides, kind, at)
    slides.settle()


def send(slides, kind, at):
    left = Qt.MouseButton.LeftButton
    held = left if kind != QEvent.Type.MouseButtonRelease else Qt.MouseButton.NoButton
    place = at.toPointF() if hasattr(at, "toPointF") else at
    event = QMouseEvent(kind, place, slides.canvas.mapToGlobal(place), left, held, NO_KEYS)
    QApplication.sendEvent(slides.canvas, event)


def test_freehand_makes_an_area(regions):
    regions.tool("Lasso")
    slides, left = regions.slides, Qt.MouseButton.LeftButton
    turn = np.linspace(0, 2 * np.pi, 40)
    path = [(1000 + 300 * np.cos(a), 700 + 300 * np.sin(a)) for a in turn]
    slides.hover(*path[0])
    QTest.mousePress(slides.canvas, left, NO_KEYS, slides.point(*path[0]))
    for place in path[1:]:
        slides.move_pressed(slides.point(*place), NO_KEYS)
        slides.settle(0.01)
    QTest.mouseRelease(slides.canvas, left, NO_KEYS, slides.point(*path[-1]))
    slides.settle(0.2)
    (roi,) = regions.rois()
    assert roi.shape.is_valid
    assert roi.shape.area == pytest.approx(np.pi * 300**2, rel=0.1)
    regions.assert_in_step()


def test_a_click_without_a_drag_draws_nothing(regions):
    regions.tool("Rect")
    regions.slides.drag((400, 300), (401, 301))
    regions.slides.settle(0.2)
    assert regions.rois() == []
    assert len(regions.layer.data) == 0


def test_a_region_of_two_rings_moves_as_a_whole(regions):
    shape = shapely.Polygon(
        [(400, 300), (1200, 300), (1200, 1000), (400, 1000)],
        [[(700, 600), (800, 600), (800, 700), (700, 700)]],
    )
    key = regions.store.draw(Roi(shape))
    regions.assert_in_step()
    regions.tool("Select")
    regions.slides.drag((500, 400), (700, 500))
    regions.slides.settle(0.2)
    moved = regions.store.region(key).shape
    dx, dy = moved.bounds[0] - 400, moved.bounds[1] - 300
    assert (dx, dy) == pytest.approx((200, 100), abs=10)
    assert moved.interiors[0].bounds[0] == pytest.approx(700 + dx)
    assert regions.store.history.undo_name == "move"
    regions.assert_in_step()
    regions.slides.press(Qt.Key.Key_Z, CTRL)
    assert regions.store.region(key).shape.equals(shape)
    regions.assert_in_step()


def test_a_small_region_inside_a_large_one_is_picked_though_the_large_one_was_moved(regions):
    large = regions.store.draw(rectangle(300, 200, 1500, 1300))
    small = regions.store.draw(rectangle(700, 600, 900, 800))
    regions.slides.settle(0.1)
    regions.tool("Select")
    regions.slides.drag((1300, 1100), (1350, 1150))
    assert regions.panel.session.selected() == [large]
    regions.slides.click(1800, 1400)
    regions.slides.click(800, 700)
    assert regions.panel.session.selected() == [small]
    regions.assert_in_step()


def test_delete_takes_the_selected_regions(regions):
    first = regions.store.draw(rectangle(100, 100, 300, 300))
    regions.store.draw(rectangle(500, 500, 900, 900))
    regions.slides.settle(0.2)
    regions.tool("Select")
    regions.slides.click(600, 600)
    assert regions.panel.session.selected() != [first]
    regions.slides.press(Qt.Key.Key_Delete)
    assert regions.store.region_keys() == (first,)
    regions.assert_in_step()
    QTest.mouseClick(regions.panel.delete, Qt.MouseButton.LeftButton)
    assert "No region is selected" in regions.slides.widget.error.text()
    assert regions.store.region_keys() == (first,)


def test_a_locked_region_stays_where_it_is(regions):
    key = regions.store.draw(rectangle(400, 300, 900, 800))
    regions.store.set_locked([key], True)
    regions.slides.settle(0.1)
    regions.tool("Select")
    regions.slides.drag((600, 500), (900, 700))
    regions.slides.settle(0.2)
    assert regions.store.region(key).shape.bounds == (400, 300, 900, 800)
    assert "is locked" in regions.slides.widget.error.text()
    regions.assert_in_step()


def test_a_class_is_added_given_and_recoloured(regions, monkeypatch):
    key = regions.store.draw(rectangle(400, 300, 900, 800))
    regions.panel.session.selection.replace([key])
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("Mitosis", True))
    QTest.mouseClick(regions.panel.classes.add, Qt.MouseButton.LeftButton)
    view = regions.panel.classes.view
    rows = [view.item(n).text() for n in range(view.count())]
    assert rows[0] == "No class"
    assert "Mitosis" in rows
    item = view.item(rows.index("Mitosis"))
    place = view.visualItemRect(item).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, NO_KEYS, place)
    assert regions.store.feature(key).class_name == "Mitosis"
    monkeypatch.setattr(QColorDialog, "getColor", lambda *_: QColor(1, 2, 3))
    QTest.mouseClick(regions.panel.classes.color, Qt.MouseButton.LeftButton)
    assert regions.store.feature(key).class_color == (1, 2, 3)
    regions.slides.settle(0.2)
    assert regions.layer.edge_color[0][:3] == pytest.approx(np.array([1, 2, 3]) / 255, abs=0.01)
    QTest.mouseClick(regions.panel.classes.take, Qt.MouseButton.LeftButton)
    assert regions.store.feature(key).class_name == ""
    assert len(regions.rois()) == 1
    regions.assert_in_step()


def test_merge_and_cut_out(regions):
    regions.store.draw(rectangle(100, 100, 600, 600))
    regions.store.draw(rectangle(500, 500, 900, 900))
    regions.panel.session.selection.replace(regions.store.region_keys())
    QTest.mouseClick(regions.panel.merge, Qt.MouseButton.LeftButton)
    (roi,) = regions.rois()
    assert roi.shape.area == 500**2 + 400**2 - 100**2
    regions.assert_in_step()
    regions.store.draw(rectangle(200, 200, 300, 300))
    regions.panel.session.selection.replace(regions.store.region_keys())
    QTest.mouseClick(regions.panel.cut, Qt.MouseButton.LeftButton)
    (cut,) = regions.rois()
    assert cut.shape.area == roi.shape.area - 100**2
    regions.assert_in_step()
    QTest.mouseClick(regions.panel.merge, Qt.MouseButton.LeftButton)
    assert "Select two regions or more" in regions.slides.widget.error.text()


def test_geojson_goes_out_and_comes_in(regions, tmp_path):
    regions.store.draw(rectangle(100, 100, 600, 600), regions.store.class_keys()[1], "gland")
    out = tmp_path / "out.geojson"
    regions.panel.files.write(out)
    wait_until(lambda: "1 region written to out.geojson" in regions.slides.widget.status.text())
    (feature,) = read_geojson(out).features
    assert (feature.class_name, feature.name) == ("Stroma", "gland")
    regions.panel.files.read(out)
    wait_until(lambda: len(regions.rois()) == 2)
    regions.assert_in_step()
    QTest.mouseClick(regions.panel.undo, Qt.MouseButton.LeftButton)
    assert len(regions.rois()) == 1
    (tmp_path / "bad.geojson").write_text("{")
    regions.panel.files.read(tmp_path / "bad.geojson")
    wait_until(lambda: "bad.geojson" in regions.slides.widget.error.text())


def test_regions_come_back_with_their_slide(regions):
    regions.store.draw(rectangle(100, 100, 600, 600))
    folder = regions.panel.session.folder.folder
    regions.slides.show(1)
    wait_until(lambda: regions.store is not None and regions.panel.session.folder.folder != folder)
    assert regions.rois() == []
    assert [layer.name for layer in regions.slides.viewer.layers] == ["slide1.svs"]
    regions.slides.show(0)
    wait_until(lambda: regions.store is not None and regions.panel.session.folder.folder == folder)
    assert len(regions.rois()) == 1
    regions.assert_in_step()


def test_removing_the_layer_loses_nothing(regions):
    regions.store.draw(rectangle(100, 100, 600, 600))
    regions.slides.viewer.layers.remove(regions.layer)
    regions.slides.settle()
    assert len(regions.rois()) == 1
    regions.tool("Select")
    regions.slides.settle(0.1)
    assert len(regions.layer.data) == 1


def test_closing_the_slide_saves_the_regions(regions):
    regions.store.draw(rectangle(100, 100, 600, 600))
    folder = regions.panel.session.folder.folder
    regions.slides.viewer.layers.remove(regions.slides.layer)
    wait_until(lambda: regions.store is None)
    regions.panel.files.background._pool.submit(int).result()
    with RegionFolder.open(folder) as opened:
        assert len(opened.store.region_keys()) == 1


def test_tissue_is_found_corrected_and_made_a_region(regions):
    QTest.mouseClick(regions.panel.find, Qt.MouseButton.LeftButton)
    wait_until(lambda: regions.panel.tissue.has_mask)
    mask = regions.panel.tissue.layer
    names = [layer.name for layer in regions.slides.viewer.layers]
    assert names == ["slide0.svs", "tissue"]
    assert np.asarray(mask.data).any()
    corner = mask.data_to_world((-0.5, -0.5))
    assert corner == pytest.approx(regions.slides.layer.data_to_world((-0.5, -0.5)), abs=1e-6)
    mask.data = np.zeros_like(mask.data)
    mask.data[10:20, 30:60] = 1
    QTest.mouseClick(regions.panel.outline, Qt.MouseButton.LeftButton)
    wait_until(regions.rois)
    (roi,) = regions.rois()
    step = regions.panel.tissue._downsample
    assert roi.shape.area == pytest.approx(300 * step**2, rel=0.05)
    assert regions.store.features()[0].class_name == "Tissue"
    regions.slides.show(1)
    assert "tissue" not in [layer.name for layer in regions.slides.viewer.layers]


def test_undo_waits_for_a_shape_that_is_being_drawn(regions):
    regions.store.draw(rectangle(100, 100, 200, 200))
    regions.slides.settle(0.2)
    regions.tool("Polygon")
    regions.slides.click(500, 500)
    regions.slides.click(800, 500)
    regions.panel.run_undo()
    assert "Finish the shape first" in regions.slides.widget.error.text()
    assert len(regions.rois()) == 1
    regions.slides.press(Qt.Key.Key_Escape)
    regions.slides.settle(0.2)
    regions.panel.run_undo()
    regions.slides.settle(0.2)
    regions.assert_in_step()


def test_regions_are_not_imported_into_another_slide(regions, tmp_path):
    out = tmp_path / "out.geojson"
    write_geojson([Feature(rectangle(100, 100, 600, 600))], out)
    regions.panel.files.read(out)
    regions.slides.widget.open_slide(regions.slides.keys[1])
    wait_until(lambda: regions.slides.session.current == regions.slides.keys[1])
    wait_until(lambda: regions.store is not None)
    regions.slides.settle(0.2)
    said_so = "out.geojson was not imported" in regions.slides.widget.error.text()
    assert regions.rois() == []
    regions.slides.show(0)
    wait_until(lambda: regions.store is not None)
    assert len(regions.rois()) == (0 if said_so else 1)


def test_of_very_many_regions_those_drawn_last_are_seen(regions):
    places = [(10 * (n % 190), 10 * (n // 190)) for n in range(MOST_SHAPES + 300)]
    many = [Feature(rectangle(x, y, x + 8, y + 8)) for x, y in places]
    regions.panel.session.add(many, "import")
    regions.panel.session.selection.clear()
    regions.slides.settle(0.2)
    assert len(regions.layer.data) == MOST_SHAPES
    assert "300 of them not drawn" in regions.panel.words.text()
    regions.tool("Rect")
    regions.slides.drag((400, 300), (1900, 1450))
    regions.slides.settle(0.3)
    assert len(regions.layer.data) == MOST_SHAPES + 1
    assert "300 of them not drawn" in regions.panel.words.text()
    regions.panel.run_undo()
    regions.panel.run_undo()
    assert regions.rois() == []
    assert len(regions.layer.data) == 0
    regions.panel.run_redo()
    assert "300 of them not drawn" in regions.panel.words.text()


def test_enter_chooses_a_class(regions):
    regions.store.draw(rectangle(400, 300, 900, 800))
    view = regions.panel.classes.view
    view.setFocus()
    view.setCurrentRow(0)
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Return):
        QTest.keyClick(view, key)
    chosen = regions.store.region_class(regions.panel.session.active_class)
    assert chosen.name == "Stroma"
    # Letters are napari's, not a search among the classes.
    wait_until(lambda: regions.layer is not None)
    regions.slides.viewer.layers.selection.active = regions.layer
    for letter, mode in (("r", "add_rectangle"), ("s", "select")):
        QTest.keyClick(view, letter)
        assert regions.layer.mode == mode


@pytest.mark.data("interop/qupath/*json", "interop/qupath/*.zip")
def test_files_of_qupath_are_drawn_and_exported_again(regions, data_file, tmp_path):
    widget = regions.slides.widget
    regions.panel.files.read(data_file)
    wait_until(lambda: f"of {data_file.name} imported" in said(widget), 60)
    count = len(regions.rois())
    if count <= 300:
        regions.assert_in_step()
    out = tmp_path / "out.geojson"
    regions.panel.files.write(out)
    wait_until(lambda: "written to out.geojson" in widget.status.text(), 60)
    assert len(read_geojson(out).features) == count
    regions.panel.run_undo()
    assert regions.rois() == []


def said(widget):
    return widget.status.text() + widget.error.text()


WORDS = {
    "select": "Select",
    "add_rectangle": "Rect",
    "add_polygon": "Polygon",
    "add_polygon_lasso": "Lasso",
    "direct": "Edit",
}


def test_keys_choose_the_tools(regions):
    regions.store.draw(rectangle(100, 100, 200, 200))
    regions.slides.settle(0.2)
    regions.tool("Select")
    for key, keys, mode in (
        (Qt.Key.Key_R, NO_KEYS, "add_rectangle"),
        (Qt.Key.Key_E, NO_KEYS, "add_ellipse"),
        (Qt.Key.Key_P, NO_KEYS, "add_polygon"),
        (Qt.Key.Key_P, SHIFT, "add_polygon_lasso"),
        (Qt.Key.Key_D, NO_KEYS, "direct"),
        (Qt.Key.Key_S, NO_KEYS, "select"),
    ):
        regions.slides.press(key, keys)
        assert regions.layer.mode == mode
        pressed = [button.text() for button in regions.panel.tools if button.isChecked()]
        assert pressed == ([] if mode == "add_ellipse" else [WORDS[mode]])
    regions.tool("Select")  # it is pressed already, and stays so
    assert regions.panel.tools[0].isChecked()
    regions.slides.viewer.layers.remove(regions.layer)
    assert not any(button.isChecked() for button in regions.panel.tools)


def test_buttons_lie_beside_each_other_with_their_words_whole(regions):
    panel = regions.panel
    rows = [panel.tools, [panel.delete, panel.merge, panel.cut]]
    rows.append([panel.load, panel.store, panel.find, panel.outline])
    for row in rows:
        for one, other in itertools.pairwise(row):
            assert one.geometry().right() < other.geometry().left()
        for button in row:
            assert button.fontMetrics().horizontalAdvance(button.text()) <= button.width() - 8
