"""Volumes in "Segmentation": opened as slices, painted, and written back, in a real window."""

from __future__ import annotations

import threading

import nibabel
import numpy as np
import pytest
import tifffile
from napari.layers._source import layer_source
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QFileDialog
from segmentation_world import HEIGHT, WIDTH, wait_until

from napari_medssl._mask_reader import get_mask_reader
from napari_medssl.backend.picture_slices import read_slices
from napari_medssl.backend.segment_files import segment_files
from napari_medssl.backend.segmenters import SegmentConfig
from napari_medssl.io.class_volumes import volume_facts
from napari_medssl.io.images import ImageRef, scan_images
from napari_medssl.io.volumes import Volume
from napari_medssl.io.volumes.nifti import NiftiVolume

pytestmark = pytest.mark.gui
DEPTH = 4
AFFINE = np.array([[-0.5, 0.01, 0.1, 30], [0.02, -0.25, 0.2, 8], [0, 0.03, 4, -9], [0, 0, 0, 1.0]])


def scan() -> np.ndarray:
    """A volume of 16 bits, (Z, Y, X), whose bar is brighter from slice to slice."""
    values = np.full((DEPTH, HEIGHT, WIDTH), 100, np.int16)
    for z in range(DEPTH):
        values[z, 20 + 10 * z : 30 + 10 * z, 30:130] = 1000 * (z + 1)
    return values


def write_scan(place, values=None, affine=AFFINE):
    place.parent.mkdir(exist_ok=True)
    image = nibabel.Nifti1Image((scan() if values is None else values).T, affine)
    image.header.set_xyzt_units("mm")
    image.to_filename(place)
    return place


@pytest.fixture
def window(segmentation_window, tmp_path):
    """The widget without a set, and a folder with a volume."""
    segmentation_window.begin(tmp_path, count=0)
    write_scan(tmp_path / "scans" / "heart.nii.gz")
    yield segmentation_window
    for layer in list(segmentation_window.viewer.layers):
        if "medssl" not in layer.metadata:
            segmentation_window.viewer.layers.remove(layer)


def names(world):
    return [item.name for item in world.store.as_dict().values()]


def paint(world, page, start, stop):
    """Put a slice in front and draw in it with the mouse."""
    world.choose(list(world.store)[page - 1])
    world.mask_layer.mode = "paint"
    world.paint(start, stop)
    world.mask_layer.mode = "pan_zoom"
    return np.array(world.mask_layer.data)


def export(world, monkeypatch, folder, kind="nifti"):
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    world.widget.export.ask(kind)
    wait_until(lambda: not world.widget.export.jobs.is_busy)
    world.settle()


@pytest.fixture
def readers(monkeypatch):
    """The threads that volumes are opened in."""
    found, begin = set(), NiftiVolume.__init__

    def noted(volume, path):
        found.add(threading.current_thread())
        begin(volume, path)

    monkeypatch.setattr(NiftiVolume, "__init__", noted)
    return found


def test_slices_are_painted_and_leave_as_one_file_where_the_volume_lies(
    window, tmp_path, monkeypatch, readers
):
    window.open(tmp_path / "scans")
    assert names(window) == [f"heart.nii.gz#page={page}" for page in range(1, DEPTH + 1)]
    window.widget.classes.add()
    window.session.name_class(1, "chamber")
    window.session.color_class(1, "#ff8000")
    drawn = {page: paint(window, page, (40, 60), (90, 60 + 10 * page)) for page in (2, 3)}
    export(window, monkeypatch, tmp_path / "out")
    assert window.widget.error.text() == ""
    assert "2 slices without a mask: empty there." in window.widget.status.text()
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == "heart.nii.gz"
    mask = nibabel.load(file)
    np.testing.assert_array_equal(mask.affine, nibabel.load(tmp_path / "scans" / file.name).affine)
    found = np.asarray(mask.dataobj).T
    assert found.dtype == np.uint8
    for page in range(1, DEPTH + 1):
        np.testing.assert_array_equal(found[page - 1], drawn.get(page, np.zeros_like(found[0])))
    assert drawn[2].any()
    assert readers
    assert threading.main_thread() not in readers  # which draws the window
    assert (drawn[2] != drawn[3]).any()
    known = volume_facts(file)
    assert (known.legend.names[1], known.legend.colors) == ("chamber", {1: "#ff8000"})
    assert get_mask_reader(str(file)) is not None  # dropped on napari it is a layer again


class Kept:
    """Finds nothing, and keeps what it has seen."""

    name, classes = "kept", ("bar",)

    def __init__(self):
        self.seen = []

    def segment(self, pixels, *, should_stop=None):
        self.seen.append(pixels)
        return np.zeros(pixels.shape[:2], np.uint8)


def test_the_window_and_the_command_line_see_the_same_pixels(window, tmp_path):
    window.open(tmp_path / "scans")
    shown = []
    for key in window.store:
        window.choose(key)
        shown.append(np.array(window.widget.layers.image_layer(key).data))
    kept = Kept()
    refs = scan_images([tmp_path / "scans"], volumes=True).refs
    segment_files(refs, tmp_path / "out", SegmentConfig(model="x"), segmenter=kept)
    learnt = [one.pixels for one in read_slices(ImageRef(tmp_path / "scans" / "heart.nii.gz"))]
    for seen in (kept.seen, learnt):
        np.testing.assert_array_equal(shown, seen)
    assert shown[0].max() < 70 < shown[-1].max() == 255  # one line for all


def test_areas_are_in_mm2(window, tmp_path):
    window.open(tmp_path / "scans" / "heart.nii.gz")
    window.widget.classes.add()
    window.widget.areas.take_name()
    pixels = np.count_nonzero(paint(window, 1, (40, 60), (90, 60)))
    table = window.widget.areas
    wait_until(lambda: table.rowCount() and table.item(0, 2).text())
    side = np.linalg.norm(AFFINE[:3, :2], axis=0)
    assert float(table.item(0, 2).text()) == pytest.approx(pixels * side.prod(), rel=1e-3)


def test_areas_of_pictures_of_imagej_are_in_mm2(window, tmp_path):
    place = tmp_path / "scans" / "smear.tif"
    told = {"imagej": True, "resolution": (2.0, 2.0), "metadata": {"unit": "um"}}
    tifffile.imwrite(place, scan()[0].astype(np.uint16), **told)
    window.open(place)
    window.widget.classes.add()
    window.widget.areas.take_name()
    pixels = np.count_nonzero(paint(window, 1, (40, 60), (90, 60)))
    table = window.widget.areas
    wait_until(lambda: table.rowCount() and table.item(0, 2).text())
    assert float(table.item(0, 2).text()) == pytest.approx(pixels * 0.0005**2, rel=1e-3)


def test_a_volume_that_is_dropped_is_opened(window, tmp_path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "scans" / "heart.nii.gz"))])
    action, button = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    keys = Qt.KeyboardModifier.NoModifier
    window.widget.dropEvent(QDropEvent(QPointF(9, 9), action, data, button, keys))
    wait_until(lambda: not window.widget.files.is_busy)
    window.wait_shown()
    assert len(window.store) == DEPTH
    assert not window.widget.error.text()


def test_pixels_that_are_not_square_are_shown_so(window, tmp_path):
    """They are 0.5 mm wide and 0.25 mm high."""
    window.open(tmp_path / "scans")
    for layer in (window.mask_layer, window.widget.layers.image_layer(window.session.image)):
        np.testing.assert_allclose(layer.scale, (1, 0.5004 / 0.25199), rtol=1e-4)
    write_scan(tmp_path / "square" / "heart.nii", affine=np.diag([0.5, 0.5, 4, 1]))
    window.open(tmp_path / "square")
    window.choose(list(window.store)[-1])
    assert tuple(window.mask_layer.scale) == (1, 1)
    assert window.session.item.spacing_mm == (0.5, 0.5)


@pytest.mark.parametrize("kind", ["nifti", "tiff"])
def test_a_layer_of_a_volume_opens_its_file(window, tmp_path, kind):
    place = tmp_path / "scans" / "heart.nii.gz"
    if kind == "tiff":
        place = tmp_path / "stack.tif"
        tifffile.imwrite(place, scan().astype(np.uint16), photometric="minisblack")
    with layer_source(path=str(place)):
        layer = window.viewer.add_image(scan(), name="heart")
    without = window.viewer.add_image(scan(), name="made")
    window.viewer.layers.selection = {layer}
    window.widget.files.add_layers()
    wait_until(lambda: not window.widget.files.is_busy)
    window.wait_shown()
    assert names(window) == [f"{place.name}#page={page}" for page in range(1, DEPTH + 1)]
    assert not layer.visible
    camera, canvas = window.viewer.scene.camera, window.viewer.canvas
    np.testing.assert_allclose(camera.center[1:], window.mask_layer.extent.world.mean(axis=0))
    sides = np.array([HEIGHT, WIDTH]) * window.mask_layer.scale
    assert camera.zoom == pytest.approx(0.95 * min(canvas.size / sides))
    window.viewer.layers.selection = {without}
    window.widget.files.add_layers()
    assert "no plain 2-D image: its shape is (4, 120, 160)" in window.widget.error.text()
    assert without.visible


def test_a_file_of_four_axes_is_told_and_the_others_are_opened(window, tmp_path):
    image = nibabel.Nifti1Image(np.zeros((8, 9, 2, 3), np.int16), AFFINE)
    image.to_filename(tmp_path / "scans" / "cine.nii")
    window.open(tmp_path / "scans")
    assert "'cine.nii': it has 4 axes (8 x 9 x 2 x 3)" in window.widget.error.text()
    assert len(names(window)) == DEPTH


def test_a_volume_that_is_cut_off_is_read_once_and_told_of_each_slice(
    window, tmp_path, monkeypatch
):
    path = tmp_path / "scans" / "cut.nii.gz"
    write_scan(path, np.random.default_rng(0).integers(0, 2000, (40, 30, 20)).astype(np.int16))
    path.write_bytes(path.read_bytes()[:-200])
    looked, choose = [], Volume._choose_scaling

    def counted(volume, on_slice):
        looked.append(volume.path.name)
        return choose(volume, on_slice)

    monkeypatch.setattr(Volume, "_choose_scaling", counted)
    window.open(tmp_path / "scans")
    assert window.session.item.name == "heart.nii.gz#page=1"  # the first that can be read
    told = list(window.session.problems.values())
    assert len(told) == 40
    assert "Cannot read slice 40 of 'cut.nii.gz': the file is damaged or cut off" in told[0]
    assert looked.count("cut.nii.gz") == 1
