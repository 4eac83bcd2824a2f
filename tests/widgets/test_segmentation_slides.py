"""Regions of slides as images to segment: drawn, or those of the widget "Slides"."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import shapely
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtTest import QTest
from segmentation_world import BrightEngine, HeldReading, write_pictures
from slides_world import MPP
from slides_world import wait_until as wait_at_most

from napari_medssl.cli import main
from napari_medssl.io.geojson import read_geojson
from napari_medssl.io.images import read_image
from napari_medssl.io.region_pictures import read_region_record
from napari_medssl.io.slide_rectangles import read_rectangle
from napari_medssl.io.slides import open_slide
from napari_medssl.state.mask_folder import MaskFolder
from napari_medssl.widgets.segmentation import SegmentationWidget, slide_regions

pytestmark = pytest.mark.gui
LEFT, NO_KEYS = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def wait_until(holds):
    wait_at_most(holds, 120.0)


def choose_entry(widget, text):
    """Choose an entry of the menu "Open" with the mouse."""
    menu = widget.open_menu
    menu.popup(widget.mapToGlobal(QPoint(5, 5)))
    wait_until(menu.isVisible)
    entry = next(one for one in menu.actions() if one.text() == text)
    place: QRect = menu.actionGeometry(entry)
    QTest.mouseClick(menu, LEFT, NO_KEYS, place.center())
    wait_until(lambda: not menu.isVisible())


class Beside:
    """A slide in front, and the widget "Segmentation" beside; `um` is what a person answers."""

    def __init__(self, slides, widget):
        self.slides, self.widget, self.session = slides, widget, widget.session
        self.viewer = slides.viewer
        self.um = 2.0
        self.asked = []

    def answer(self, _parent, _title, text, value, low, high, decimals):
        self.asked.append((text, value, low))
        return self.um or 0.0, self.um is not None

    def take(self, *, waits=True):
        """Choose the entry of the menu "Open", and wait until all is shown."""
        choose_entry(self.widget, "Regions of slide ...")
        if waits:
            self.wait()

    def wait(self):
        wait_until(lambda: not self.widget.files.is_busy)
        layers = self.widget.layers
        wait_until(lambda: layers.front is not None or self.session.image is None)
        self.slides.settle()

    def shapes(self):
        """A layer to draw in, as napari's button makes one: in the units of the slide."""
        slide = self.slides.layer
        layer = self.viewer.add_shapes(name="mine", scale=slide.scale, units=slide.units)
        self.viewer.layers.selection = {layer}
        layer.mode = "add_rectangle"
        return layer

    def items(self):
        return list(self.session.store.as_dict().values())


@pytest.fixture
def beside(slides, tmp_path, monkeypatch):
    slides.show(0)
    widget = SegmentationWidget(slides.viewer, BrightEngine(), tmp_path / "sets", tmp_path)
    slides.viewer.window.add_dock_widget(widget, name="Segmentation", area="left")
    slides.viewer.reset_view()
    slides.settle(0.2)
    made = Beside(slides, widget)
    monkeypatch.setattr(slide_regions.QInputDialog, "getDouble", made.answer)
    yield made
    widget.shut_down()
    slides.viewer.window.remove_dock_widget(widget)
    widget.close()
    widget.deleteLater()
    for layer in [one for one in slides.viewer.layers if one.name == "mine"]:
        slides.viewer.layers.remove(layer)
    slides.settle(0.1)
    vars(made).clear()  # pytest keeps it for a while, and with it the window


def test_a_rectangle_drawn_over_a_slide_is_an_image_of_the_set_where_it_lies(beside, tmp_path):
    layer = beside.shapes()
    beside.slides.drag((400, 300), (900, 700))
    assert len(layer.data) == 1
    slide_layer = beside.slides.layer
    beside.take()
    ((text, value, low),) = beside.asked
    assert text.startswith("1 region of slide0, ")
    assert (value, low) == (1.0, MPP)
    (item,) = beside.items()
    record = read_region_record(item.ref.path)
    assert (record.slide, record.fingerprint) == (
        "slide0",
        slide_layer.metadata["medssl"]["fingerprint"],
    )
    assert (record.step_x, record.step_y) == (4.0, 4.0)
    drawn = np.asarray(layer.data[0]).min(axis=0) + 0.5
    assert (record.y, record.x) == tuple(np.rint(drawn))
    assert item.spacing_mm == (0.002, 0.002)
    assert item.ref.path.is_relative_to(beside.session.folder.folder / "images")
    assert not layer.visible
    assert not slide_layer.visible
    pixels = read_image(item.ref)
    height, width = pixels.shape[:2]
    box = (record.x, record.y, record.x + 4 * width, record.y + 4 * height)
    with open_slide(beside.slides.slides[0]) as slide:
        assert (pixels == read_rectangle(slide, box, (width, height))).all()
    image = beside.widget.layers.image_layer(beside.session.image)
    corner = slide_layer.world_to_data(image.data_to_world((-0.5, -0.5))) + np.array([0.5, 0.5])
    assert corner == pytest.approx([record.y, record.x], abs=0.01)
    _, y, x = beside.viewer.scene.camera.center
    middle = image.data_to_world(((height - 1) / 2, (width - 1) / 2))
    assert (y, x) == pytest.approx(middle, abs=1)  # in sight, not the speck that it is on a slide
    assert beside.viewer.scene.camera.zoom * height * 2 > beside.slides.canvas.height() / 4


def test_all_that_was_drawn_is_taken_though_napari_selects_the_last_one(beside):
    layer = beside.shapes()
    beside.slides.drag((200, 200), (400, 400))
    beside.slides.drag((600, 300), (800, 500))
    assert layer.selected_data == {1}
    beside.take()
    assert beside.asked[0][0].startswith("2 regions of slide0, the largest ")
    assert len(beside.items()) == 2
    layer.visible = beside.slides.layer.visible = True
    layer.mode = "select"
    layer.selected_data = {1}
    beside.viewer.layers.selection = {layer}
    beside.take(waits=False)
    assert beside.asked[1][0].startswith("1 region of slide0, ")
    beside.wait()


def test_a_shape_across_the_edge_is_taken_and_what_is_left_out_is_told(beside):
    layer = beside.shapes()
    beside.slides.drag((-80, 300), (40, 700))  # its middle lies beside the slide
    layer.add_rectangles([[[-900, -900], [-800, -800]], [[50.1, 50.1], [50.3, 50.3]]])
    layer.selected_data = set()
    beside.take()
    ((text, *_),) = beside.asked
    assert text.startswith("1 region of slide0, ")
    left_out = "2 shapes are left out: smaller than a pixel, or lie beside the slide."
    assert left_out in text
    (item,) = beside.items()
    record = read_region_record(item.ref.path)
    assert (record.x, round(record.y)) == (0, pytest.approx(300, abs=4))
    assert read_image(item.ref).shape[1] * record.step_x == pytest.approx(40, abs=4)


def test_every_region_comes_into_sight(beside):
    layer = beside.shapes()
    layer.add_rectangles([[[100, 100], [300, 400]], [[1300, 1700], [1400, 1900]]])
    layer.selected_data = set()
    beside.take()
    for key in (*beside.session.store, *beside.session.store):
        beside.session.choose(key)
        wait_until(lambda key=key: beside.widget.layers.front == key)
        image = beside.widget.layers.image_layer(key)
        height, width = image.data.shape[:2]
        _, y, x = beside.viewer.scene.camera.center
        middle = image.data_to_world(((height - 1) / 2, (width - 1) / 2))
        assert (y, x) == pytest.approx(middle, abs=1)
        shown = [one for one in beside.viewer.layers if one.visible]
        assert shown == [image, beside.widget.layers.layer(key)]


def test_units_are_those_of_the_slide_so_that_napari_warns_of_nothing(beside, capfd):
    capfd.readouterr()
    beside.shapes()
    beside.slides.drag((400, 300), (900, 700))
    beside.take()
    for layer in beside.viewer.layers:
        assert {str(unit) for unit in layer.units} == {"micrometer"}
    assert "Inconsistent units" not in "".join(capfd.readouterr())


def test_images_in_pixels_that_are_closed_leave_no_warning_of_units(beside, tmp_path, capfd):
    write_pictures(tmp_path / "eyes")
    beside.widget.files.add_paths([tmp_path / "eyes"])
    beside.wait()
    choose_entry(beside.widget, "Close")
    wait_until(lambda: list(beside.viewer.layers) == [beside.slides.layer])
    beside.slides.layer.visible = True
    capfd.readouterr()
    beside.shapes()
    beside.slides.drag((400, 300), (900, 700))
    beside.take()
    assert "Inconsistent units" not in "".join(capfd.readouterr())


def units(viewer):
    return {str(unit) for layer in viewer.layers for unit in layer.units}


def test_files_and_regions_in_one_set_are_in_one_unit(beside, tmp_path, capfd):
    """As are the layers that others keep: napari warns of hidden ones, too."""
    beside.shapes()
    beside.slides.drag((400, 300), (900, 700))
    beside.take()
    capfd.readouterr()
    write_pictures(tmp_path / "eyes")
    beside.widget.files.add_paths([tmp_path / "eyes"])
    beside.wait()
    layers = beside.widget.layers
    for key in (*beside.session.store, *beside.session.store):
        beside.session.choose(key)
        wait_until(lambda due=key: layers.front == due and not layers.is_reading)
        beside.slides.settle()
        assert units(beside.viewer) == {"micrometer"}
        assert layers.layer(key).visible
    assert tuple(layers.layer(key).scale) == (1, 1)  # how large its pixels are is not known
    assert "Inconsistent units" not in "".join(capfd.readouterr())


def test_a_slide_that_comes_after_files_is_in_one_unit_with_them(beside, tmp_path):
    write_pictures(tmp_path / "eyes")
    beside.widget.files.add_paths([tmp_path / "eyes"])
    beside.wait()
    slide = beside.slides.layer
    beside.viewer.layers.remove(slide)
    beside.session.checked_folder().store.set_spacing(beside.session.store, (0.02, 0.01))
    beside.widget.files.close_set()
    beside.widget.files.add_paths([tmp_path / "eyes"])
    beside.wait()
    assert units(beside.viewer) == {"pixel"}
    beside.viewer.layers.append(slide)
    beside.slides.settle()
    assert units(beside.viewer) == {"micrometer"}
    mask = beside.widget.layers.layer(beside.session.image)
    assert tuple(mask.scale) == (10, 20)


def test_its_outlines_are_in_coordinates_of_the_slide(beside, tmp_path):
    beside.shapes()
    beside.slides.drag((400, 300), (900, 700))
    beside.take()
    (item,) = beside.items()
    key = beside.session.image
    layer = beside.widget.layers.layer(key)
    rows, columns = np.mgrid[10:30, 20:50]
    layer.data_setitem((rows.ravel(), columns.ravel()), 1)
    wait_until(lambda: beside.session.store[key].is_edited)
    beside.widget.export.export(tmp_path / "out", "geojson")
    wait_until(lambda: not beside.widget.export.jobs.is_busy)
    (path,) = (tmp_path / "out").glob("*.geojson")
    (feature,) = read_geojson(path).features
    at = read_region_record(item.ref.path)
    due = shapely.box(at.x + 4 * 20, at.y + 4 * 10, at.x + 4 * 50, at.y + 4 * 30)
    assert feature.roi.shape.equals(due)


def test_the_command_line_writes_the_same_files(beside, tmp_path):
    beside.shapes()
    beside.slides.drag((400, 300), (900, 700))
    beside.take()
    key, widget = beside.session.image, beside.widget
    rows, columns = np.mgrid[10:30, 20:50]
    widget.layers.layer(key).data_setitem((rows.ravel(), columns.ravel()), 2)
    wait_until(lambda: beside.session.store[key].is_edited)
    widget.exchange.save(tmp_path / "saved")
    wait_until(lambda: not widget.exchange.is_busy)
    images = beside.session.folder.folder / "images"
    for kind in ("geojson", "geojson-classes", "tiff", "nifti"):
        widget.export.export(tmp_path / kind, kind)
        wait_until(lambda: not widget.export.jobs.is_busy)
        out = tmp_path / f"{kind} again"
        words = ["--images", str(images), "--format", kind, "--out", str(out)]
        assert main(["masks", "export", str(tmp_path / "saved"), *words]) == 0
        (mine,), (again,) = (tmp_path / kind).iterdir(), out.iterdir()
        assert mine.name == again.name
        assert mine.read_bytes() == again.read_bytes()


def test_regions_of_the_widget_slides_are_taken_those_selected_alone(beside):
    panel = beside.slides.widget.regions
    beside.slides.widget.pages.setCurrentWidget(panel)
    wait_until(lambda: panel.session.store is not None)
    for corner in (200, 900, 1300):
        tool = next(b for b in panel.tools if b.text() == "Rect")
        QTest.mouseClick(tool, LEFT)
        beside.slides.drag((corner, 300), (corner + 300, 600))
        beside.slides.settle(0.1)
    layer = panel.layer.layer
    assert len(layer.data) == 3
    beside.viewer.layers.selection = {layer}
    panel.session.selection.replace(panel.session.store.region_keys()[:2])
    beside.slides.settle(0.1)
    beside.take()
    assert beside.asked[0][0].startswith("2 regions of slide0, the largest ")
    assert len(beside.items()) == 2
    panel.session.selection.clear()
    beside.slides.layer.visible = layer.visible = True
    beside.slides.settle(0.1)
    beside.viewer.layers.selection = {layer}
    beside.take()
    assert len(beside.items()) == 3  # the two are known, and not written again
    assert len(list((beside.session.folder.folder / "images").iterdir())) == 3


def test_a_copy_of_the_set_holds_the_pictures_and_their_places(beside, tmp_path):
    beside.shapes()
    beside.slides.drag((400, 300), (900, 700))
    beside.take()
    beside.widget.files.save_copy(tmp_path / "copy.masks")
    with MaskFolder.open(tmp_path / "copy.masks") as copy:
        (item,) = copy.store.as_dict().values()
        assert item.ref.path.is_relative_to(tmp_path / "copy.masks")
        assert read_region_record(item.ref.path).slide == "slide0"


def test_a_name_that_is_hidden_goes_neither_into_the_set_nor_into_words(beside):
    beside.slides.session.mask(True)
    beside.slides.settle(0.1)
    alias = beside.slides.layer.name
    assert alias != "slide0"
    beside.shapes()
    beside.slides.drag((400, 300), (900, 700))
    beside.take()
    (item,) = beside.items()
    assert item.name.startswith(alias)
    assert read_region_record(item.ref.path).slide == alias
    assert "slide0" not in beside.asked[0][0] + item.source
    beside.slides.session.mask(False)


def test_nothing_selected_nothing_drawn_and_a_no_are_told_and_leave_the_set_alone(beside):
    beside.viewer.layers.selection = {beside.slides.layer}
    beside.take()
    assert "No shapes layer is selected." in beside.widget.error.text()
    layer = beside.shapes()
    beside.take()
    assert "Layer 'mine' has no area that lies on a slide" in beside.widget.error.text()
    layer.add_rectangles([[-900, -900], [-800, -800]])  # beside the slide
    beside.take()
    assert "Layer 'mine' has no area that lies on a slide" in beside.widget.error.text()
    layer.add_rectangles([[100, 100], [200, 200]])
    beside.um = None
    beside.take()
    assert not beside.items()
    assert layer.visible


def two_shapes(beside):
    layer = beside.shapes()
    layer.add_rectangles([[[100, 100], [300, 400]], [[500, 500], [700, 900]]])
    layer.selected_data = set()
    beside.viewer.layers.selection = {layer}
    return layer


def press_cancel(beside):
    jobs = beside.widget.reader.jobs
    assert jobs._cancel.isVisible()
    assert jobs._cancel.isEnabled()
    QTest.mouseClick(jobs._cancel, LEFT)


def test_reading_shows_how_far_it_is_and_is_not_done_by_the_window(beside, monkeypatch):
    two_shapes(beside)
    held = HeldReading(monkeypatch, 2)
    beside.take(waits=False)
    jobs = beside.widget.reader.jobs
    wait_until(lambda: jobs._bar.value() > jobs._bar.maximum() / 2)  # within the second one
    assert jobs._words.text().startswith("reading region 2 of 2")
    assert jobs._bar.isVisible()
    assert jobs._bar.value() < jobs._bar.maximum()
    assert not held.go.is_set()
    held.go.set()
    beside.wait()
    assert threading.main_thread() not in held.threads
    assert not jobs._bar.isVisible()
    assert len(beside.items()) == 2
    assert "2 images added." in beside.widget.status.text()


def test_cancel_keeps_what_was_read_and_the_same_again_reads_the_rest(beside, monkeypatch):
    layer = two_shapes(beside)
    held = HeldReading(monkeypatch, 2)
    beside.take(waits=False)
    wait_until(held.reached.is_set)
    press_cancel(beside)
    beside.wait()
    assert not beside.widget.reader.jobs._cancel.isVisible()
    assert "Stopped. 1 of 2 regions is in the set." in beside.widget.status.text()
    (item,) = beside.items()
    assert list(item.ref.path.parent.iterdir()) == [item.ref.path]
    assert beside.session.item == item
    assert layer.visible  # so that the rest can be asked for
    beside.viewer.layers.selection = {layer}
    beside.take()
    assert held.count == 3  # the first was not read again
    assert len(beside.items()) == 2
    assert not layer.visible


def test_cancel_within_the_first_region_leaves_the_set_as_it_was(beside, monkeypatch):
    layer = two_shapes(beside)
    held = HeldReading(monkeypatch, 1)
    beside.take(waits=False)
    wait_until(held.reached.is_set)
    press_cancel(beside)
    beside.wait()
    assert "Stopped; no region was added." in beside.widget.status.text()
    assert not beside.widget.error.text()
    assert not beside.items()
    assert not list(beside.session.folder.folder.glob("images/*"))
    assert layer.visible


def test_another_request_waits_and_a_set_that_is_closed_ends_the_reading(beside, monkeypatch):
    two_shapes(beside)
    held = HeldReading(monkeypatch, 1)
    beside.take(waits=False)
    wait_until(held.reached.is_set)
    beside.take(waits=False)
    first = beside.widget.reader.jobs.job
    beside.widget.files.close_set()
    wait_until(lambda: first.has_ended)
    beside.wait()  # the second begins a set of its own
    assert not beside.widget.error.text()
    assert len(beside.items()) == 2
    assert len(list((beside.session.folder.folder / "images").iterdir())) == 2


def test_a_slide_that_is_gone_is_told_and_nothing_is_left(beside):
    layer = beside.shapes()
    beside.slides.drag((400, 300), (900, 700))
    beside.slides.slides[0].unlink()
    beside.take()
    assert "slide0.svs" in beside.widget.error.text()
    assert not beside.items()
    assert not list(beside.session.folder.folder.glob("images/*"))
    assert layer.visible
