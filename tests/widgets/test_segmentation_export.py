"""What leaves "Segmentation" and what it measures, in a real window with real clicks."""

from __future__ import annotations

import csv
import json
import os
import statistics
import threading
import time

import numpy as np
import pytest
import shapely
from PIL import Image
from qtpy.QtCore import QEventLoop, QPoint, QRect, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog
from segmentation_world import HEIGHT, WIDTH, truth, wait_until

from napari_medssl.backend import methods_job
from napari_medssl.backend.compute_process import compute_process
from napari_medssl.backend.export_masks import export_masks
from napari_medssl.io.class_formats import read_class_mask
from napari_medssl.io.geojson import read_geojson
from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets.segmentation import mask_export, set_masks

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


def choosing(monkeypatch, *, folder=None, file=None):
    """Answer the dialogs for a folder and for a file to write."""
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder or ""))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(file or ""), ""))


def click_entry(world, menu, title):
    """Open a menu below its button and click an entry."""
    menu.popup(world.widget.mapToGlobal(QPoint(5, 5)))
    wait_until(menu.isVisible)
    entry = next(action for action in menu.actions() if action.text() == title)
    place: QRect = menu.actionGeometry(entry)
    QTest.mouseClick(menu, LEFT, Qt.KeyboardModifier.NoModifier, place.center())
    wait_until(lambda: not menu.isVisible())


def in_loop(act):
    """Do something as Qt does it for a click: called by the event loop."""
    loop = QEventLoop()
    QTimer.singleShot(0, lambda: (act(), loop.quit()))
    loop.exec()


def wait_exported(world):
    wait_until(lambda: not world.widget.export.jobs.is_busy)
    world.settle()


def click_box(box):
    QTest.mouseClick(box, LEFT, pos=QPoint(8, box.height() // 2))


def paint(world, start, stop):
    world.mask_layer.mode = "paint"
    world.paint(start, stop)
    world.mask_layer.mode = "pan_zoom"


def cells(table, row, columns):
    return [table.item(row, column).text() for column in columns]


def test_the_table_counts_objects_as_they_are_painted(segmentation):
    segmentation.segment()
    table = segmentation.widget.areas
    wait_until(lambda: table.rowCount() == 1 and table.item(0, 5).text() == "1")
    assert table.horizontalHeaderItem(5).text() == "Objects"
    paint(segmentation, (40, 90), (80, 90))
    wait_until(lambda: table.item(0, 5).text() == "2")
    assert table.item(0, 5).toolTip().split("\n")[1].startswith("2 objects: mean ")


def test_the_name_of_a_class_keeps_its_room(segmentation):
    """What is left out for it stands in the tooltip."""
    segmentation.segment()
    segmentation.widget.exchange.set_spacing(0.0123)
    table = segmentation.widget.areas
    wait_until(lambda: table.rowCount() and table.item(0, 2).text() and table.item(0, 5).text())
    segmentation.viewer.window.resize(1100, 700)
    segmentation.settle()
    assert table.columnWidth(0) >= 90
    assert "1,000 pixels, 5.21% of the image" in table.item(0, 0).toolTip()
    for column in range(6):
        cell = table.visualItemRect(table.item(0, column))
        assert table.isColumnHidden(column) or cell.right() <= table.viewport().width()


@pytest.mark.parametrize(
    ("title", "name"), [("TIFF ...", "eye{}.tif"), ("NIfTI ...", "eye{}.nii.gz")]
)
def test_masks_are_exported_with_the_size_of_a_pixel(
    segmentation, tmp_path, monkeypatch, title, name
):
    segmentation.segment(every=True)
    segmentation.widget.exchange.set_spacing(0.25)
    out = tmp_path / "out"
    choosing(monkeypatch, folder=out)
    click_entry(segmentation, segmentation.widget.formats_button.menu(), title)
    wait_exported(segmentation)
    for number in range(3):
        mask, spacing = read_class_mask(out / name.format(number))
        assert (mask == truth(number)).all()
        assert spacing == pytest.approx((0.25, 0.25))
    assert f"3 masks written to {out}." in segmentation.widget.status.text()


def test_outlines_have_the_names_and_colours_of_the_classes(segmentation, tmp_path, monkeypatch):
    segmentation.segment()
    paint(segmentation, (40, 90), (80, 90))
    segmentation.session.name_class(1, "artery")
    segmentation.session.color_class(1, "#ff8000")
    choosing(monkeypatch, folder=tmp_path / "out")
    click_entry(segmentation, segmentation.widget.formats_button.menu(), "GeoJSON, objects ...")
    wait_exported(segmentation)
    found = read_geojson(tmp_path / "out" / "eye0.geojson").features
    assert [(f.class_name, f.class_color) for f in found] == [("artery", (255, 128, 0))] * 2
    mask = segmentation.session.folder.held(segmentation.session.image)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside = [shapely.contains_xy(f.roi.shape, x.ravel(), y.ravel()) for f in found]
    assert (np.any(inside, axis=0).reshape(HEIGHT, WIDTH) == (mask == 1)).all()


@pytest.mark.parametrize("title", ["Save masks ...", "TIFF ..."])
def test_files_are_looked_up_off_the_gui_thread(segmentation, tmp_path, monkeypatch, title):
    """A set of thousands of images has thousands of files to look up, maybe on a slow share."""
    segmentation.segment(every=True)
    threads = []

    def spy(name):
        work = getattr(set_masks, name)

        def noted(*arguments):
            threads.append((name, threading.current_thread() is threading.main_thread()))
            return work(*arguments)

        monkeypatch.setattr(set_masks, name, noted)

    spy("places_apart")
    spy("_names_there")
    out = tmp_path / "out"
    choosing(monkeypatch, folder=out)
    widget = segmentation.widget
    menu = widget.mask_menu if title.startswith("Save") else widget.formats_button.menu()
    entry = next(action for action in menu.actions() if action.text() == title)
    in_loop(entry.trigger)
    wait_exported(segmentation)
    wait_until(lambda: len(list(out.glob("eye*"))) == 3)
    assert threads == [("places_apart", False), ("_names_there", False)]


def test_an_export_asks_before_it_replaces_files(segmentation, tmp_path, monkeypatch):
    segmentation.segment(every=True)
    out = tmp_path / "out"
    out.mkdir()
    (out / "eye1.tif").write_bytes(b"mine")
    asked = []
    monkeypatch.setattr(questions, "may", lambda _p, _t, text: asked.append(text))
    choosing(monkeypatch, folder=out)
    segmentation.widget.export.ask("tiff")
    assert "1 of 3 files are in" in asked[0]
    assert not segmentation.widget.export.jobs.is_busy
    assert [path.name for path in out.iterdir()] == ["eye1.tif"]
    assert (out / "eye1.tif").read_bytes() == b"mine"


def test_a_mask_that_is_gone_is_told_and_the_others_are_written(segmentation, tmp_path):
    segmentation.segment(every=True)
    folder = segmentation.session.folder
    key = next(key for key in segmentation.store if folder.held(key) is None)
    folder.mask_file(key).unlink()
    segmentation.widget.export.export(tmp_path / "out", "geojson")
    wait_exported(segmentation)
    said = segmentation.widget.error.text()
    assert "2 masks written to" in said
    assert "1 failed: Cannot read the mask" in said


def held_export(monkeypatch):
    """Let an export wait after its first mask until it is cancelled."""
    reached = threading.Event()

    def slow(job, *, on_progress, should_stop):
        def tell(progress):
            on_progress(progress)
            if progress.done == 1:
                reached.set()
                while not should_stop():
                    time.sleep(0.01)

        return export_masks(job, on_progress=tell, should_stop=should_stop)

    monkeypatch.setattr(mask_export, "_export", slow)
    return reached


def test_an_export_shows_progress_and_is_cancelled_with_what_is_finished(
    segmentation, tmp_path, monkeypatch
):
    segmentation.segment(every=True)
    reached = held_export(monkeypatch)
    export, out = segmentation.widget.export, tmp_path / "out"
    export.export(out, "tiff")
    wait_until(reached.is_set)
    panel = export.jobs
    wait_until(panel._cancel.isVisible)
    export.export(tmp_path / "other", "tiff")
    assert "Something is being exported" in segmentation.widget.error.text()
    segmentation.press_button(panel._cancel)
    wait_exported(segmentation)
    said = segmentation.widget.status.text()
    assert said.startswith("Stopped. ")
    written = len(list(out.iterdir()))
    assert 1 <= written < 3
    assert f"{written} mask{'s' * (written != 1)} written to" in said


class Ticks(QTimer):
    """Notes when it ticks."""

    def __init__(self):
        super().__init__()
        self.at = []
        self.setInterval(5)
        self.timeout.connect(self.tick)
        self.start()

    def tick(self):
        self.at.append(time.perf_counter())


def test_the_gui_goes_on_while_a_mask_of_many_corners_is_traced(segmentation, tmp_path):
    """It is traced in another process; the longest waits are those of a busy machine."""
    noise = np.random.default_rng(0).integers(0, 2, (600, 800)).astype(np.uint8)
    Image.fromarray(noise * 255).save(tmp_path / "noise.png")
    segmentation.open(tmp_path / "noise.png")
    segmentation.segment()
    ticks = Ticks()
    segmentation.widget.export.export(tmp_path / "out", "geojson")
    wait_until(lambda: not segmentation.widget.export.jobs.is_busy)
    ticks.stop()
    assert np.median(np.diff(ticks.at)) < 0.05
    assert compute_process().pid not in (None, os.getpid())
    features = read_geojson(tmp_path / "out" / "noise.geojson").features
    assert sum(feature.roi.area() for feature in features) == noise.sum()


def test_the_whole_set_is_measured_and_follows_what_is_painted(segmentation):
    segmentation.segment(every=True)
    widget = segmentation.widget
    click_box(widget.classes.whole_box)
    panel = widget.classes.whole
    wait_until(lambda: panel.words.text() == "Over 3 masks.")
    assert panel.table.isVisible()
    assert not widget.areas.isVisible()
    values = [int(truth(number).sum()) for number in range(3)]
    sd = f"{statistics.stdev(values):,.0f}"
    assert cells(panel.table, 0, range(5)) == ["vessel", "1,000", sd, "3", "3"]
    paint(segmentation, (40, 90), (80, 90))
    wait_until(lambda: panel.table.item(0, 4).text() == "4" and not panel.is_waiting)
    values[0] = int((segmentation.session.folder.held(segmentation.session.image) == 1).sum())
    assert panel.table.item(0, 1).text() == f"{statistics.fmean(values):,.0f}"
    assert panel.table.item(0, 2).text() == f"{statistics.stdev(values):,.0f}"
    widget.exchange.set_spacing(0.1)
    wait_until(lambda: panel.table.horizontalHeaderItem(1).text() == "Mean mm²")
    wait_until(lambda: not panel.is_waiting)
    assert panel.table.item(0, 1).text() == f"{statistics.fmean(values) / 100:.4g}"
    click_box(widget.classes.whole_box)
    assert widget.areas.isVisible()
    assert not panel.table.isVisible()


def test_the_whole_set_says_what_it_is_of(segmentation):
    segmentation.segment()
    widget = segmentation.widget
    widget.show_whole_set()
    panel = widget.classes.whole
    wait_until(lambda: panel.words.text() == "Over 1 mask; 2 of 3 images have none.")
    assert panel.table.item(0, 2).text() == ""  # of one value there is no deviation
    segmentation.session.name_class(1, "artery")
    wait_until(lambda: panel.table.rowCount() and panel.table.item(0, 0).text() == "artery")
    segmentation.press_button(widget.classes.add_button)  # names are typed in the other table
    assert widget.areas.isVisible()
    widget.areas.take_name()


def test_the_whole_set_is_exported(segmentation, tmp_path, monkeypatch):
    segmentation.segment(every=True)
    choosing(monkeypatch, file=tmp_path / "classes.csv")
    click_entry(segmentation, segmentation.widget.mask_menu, "Export whole set ...")
    wait_exported(segmentation)
    with (tmp_path / "classes.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["name"], row["images"], row["area_px_mean"]) == ("vessel", "3", "1000.0")
    assert "Classes of 3 images written to" in segmentation.widget.status.text()


def test_a_name_without_a_suffix_gets_one_and_nothing_is_replaced_unasked(
    segmentation, tmp_path, monkeypatch
):
    segmentation.segment()
    exchange = segmentation.widget.exchange
    choosing(monkeypatch, file=tmp_path / "areas")
    exchange.ask_export()
    wait_until(lambda: not exchange.is_busy)
    assert (tmp_path / "areas.csv").read_text().startswith("image,class")
    (tmp_path / "areas.csv").write_text("mine")
    asked = []
    monkeypatch.setattr(questions, "may", lambda _p, _t, text: asked.append(text))
    exchange.ask_export()
    assert "areas.csv" in asked[0]
    wait_until(lambda: not exchange.is_busy)
    assert (tmp_path / "areas.csv").read_text() == "mine"
    assert not (tmp_path / "areas").exists()


def test_the_methods_tell_the_model_and_what_was_edited(segmentation, tmp_path, monkeypatch):
    segmentation.widget.form.set_value("threshold", 0.35)
    segmentation.segment(every=True)
    segmentation.widget.form.set_value("threshold", 0.5)  # what is asked for later is not told
    paint(segmentation, (40, 90), (80, 90))
    choosing(monkeypatch, file=tmp_path / "methods.md")
    segmentation.press_button(segmentation.widget.methods_button)
    wait_exported(segmentation)
    text = (tmp_path / "methods.md").read_text("utf-8")
    values = json.loads((tmp_path / "methods.json").read_text("utf-8"))
    assert "3 of 3 masks were made by the model retina-vessels" in text
    assert "1 mask of these was corrected by hand." in text
    assert "was trained by `medssl train shape-guided`" in text
    assert "--threshold 0.35" in text
    assert values["edited_by_hand"] == ["eye0.png"]
    assert values["runs"][0]["settings"] == {"readout": "channel", "threshold": 0.35}
    assert values["runs"][0]["sha256"] == values["models"][0]["sha256"]
    assert "the config to methods.json." in segmentation.widget.status.text()
    segmentation.widget.export.write_methods(tmp_path / "x.json")
    assert "Give a name that ends in .md." in segmentation.widget.error.text()


def test_the_methods_are_written_in_the_compute_process(segmentation, tmp_path, monkeypatch):
    """Versions are read from long files there; the words, and what goes wrong, are told here."""
    segmentation.segment(every=True)
    here = []
    for name in ("methods_of", "write_methods"):
        monkeypatch.setattr(methods_job, name, lambda *_, **__: here.append(1))
    choosing(monkeypatch, file=tmp_path / "methods.md")
    segmentation.press_button(segmentation.widget.methods_button)
    wait_exported(segmentation)
    assert not here
    assert "3 of 3 masks" in (tmp_path / "methods.md").read_text("utf-8")
    choosing(monkeypatch, file=tmp_path / "gone" / "methods.md")
    segmentation.press_button(segmentation.widget.methods_button)
    wait_exported(segmentation)
    assert "Choose a folder that exists" in segmentation.widget.error.text()


def test_without_a_mask_nothing_is_exported_and_that_is_told(segmentation, tmp_path):
    widget = segmentation.widget
    for button in (widget.formats_button, widget.methods_button):
        assert not button.isEnabled()
    for work in (
        lambda: widget.export.export(tmp_path, "tiff"),
        lambda: widget.export.export_summary(tmp_path / "s.csv"),
        lambda: widget.export.write_methods(tmp_path / "m.md"),
    ):
        widget.messages.tell("", False)
        work()
        assert "No image has a mask yet" in widget.error.text()
