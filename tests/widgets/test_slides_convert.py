"""Converting in the window: stopped, gone on with, refused; private images; slides of the menu."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel, QMessageBox
from slides_world import wait_until, write_slide

from napari_medssl.backend.convert_slide import verify_slide_store
from napari_medssl.io.slides import open_slide
from napari_medssl.state.slide_entry import SlideState

pytestmark = pytest.mark.gui


def click(button):
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.fixture
def panel(slides):
    slides.widget.pages.setCurrentWidget(slides.widget.converting)
    slides.widget.converting.set_folder(None)
    slides.settle()
    return slides.widget.converting


def test_two_slides_are_converted_one_after_the_other(slides, panel):
    slides.widget.list.view.selectAll()
    click(panel.convert)
    assert not panel.convert.isEnabled()
    wait_until(lambda: not panel.jobs.is_busy, 60)
    assert slides.widget.status.text() == "2 slides converted."
    for key, path in zip(slides.keys, slides.slides, strict=True):
        entry = slides.session.entry(key)
        assert entry.state == SlideState.CONVERTED
        assert entry.converted == str(path.with_suffix(".ome.zarr"))
        with open_slide(entry.converted) as slide:
            assert slide.dimensions == (2000, 1500)
            assert slide.mpp == pytest.approx((0.5, 0.5))
    slides.slides[0].unlink()
    slides.widget.files.verify()
    slides.wait_looked()
    slides.show(0)  # the store stands in for an original that is gone


def test_a_conversion_is_stopped_and_gone_on_with(slides, panel, tmp_path):
    large = write_slide(tmp_path / "large.svs", 5000, 6200)
    (key,) = slides.widget.files.add_sources([str(large)])
    slides.wait_looked()
    slides.widget.list.mark(key)
    progressed = []
    panel.jobs.progressed.connect(progressed.append)
    click(panel.convert)
    wait_until(lambda: any(p.done for p in progressed), 60)
    click(panel.jobs._cancel)
    wait_until(lambda: not panel.jobs.is_busy, 60)
    assert slides.widget.status.text() == "Stopped. Convert goes on where it was."
    assert slides.session.entry(key).state == SlideState.LINKED
    store = tmp_path / "large.ome.zarr"
    assert not store.exists()
    assert (tmp_path / "large.ome.zarr.partial").is_dir()
    click(panel.convert)
    wait_until(lambda: not panel.jobs.is_busy, 120)
    assert slides.widget.status.text() == "1 slide converted."
    assert not (tmp_path / "large.ome.zarr.partial").exists()
    assert slides.session.entry(key).converted == str(store)
    assert not verify_slide_store(store).damaged


def test_a_place_that_is_taken_is_told_and_left_alone(slides, panel):
    taken = slides.slides[0].with_suffix(".ome.zarr")
    taken.mkdir()
    (taken / "mine.txt").write_text("precious")
    slides.widget.list.mark(slides.keys[0])
    click(panel.convert)
    wait_until(lambda: not panel.jobs.is_busy, 30)
    assert "slide0.ome.zarr" in slides.widget.error.text()
    assert (taken / "mine.txt").read_text() == "precious"
    assert slides.session.entry(slides.keys[0]).state == SlideState.LINKED


def test_nothing_marked_is_told(slides, panel):
    slides.widget.list.view.clearSelection()
    click(panel.convert)
    assert "No slide is marked" in slides.widget.error.text()


# -- label and macro -------------------------------------------------------------------------------


@pytest.fixture
def cmu(slides, data_dir):
    source = data_dir / "slides" / "CMU-1-Small-Region.svs"
    (key,) = slides.widget.files.add_sources([str(source)])
    slides.wait_looked()
    return key


def test_label_and_macro_come_after_a_warning_only(slides, cmu, monkeypatch):
    asked = []

    def answer_with(button):
        def answer(_parent, _title, text, *_):
            asked.append(text)
            return button

        monkeypatch.setattr(QMessageBox, "warning", answer)

    answer_with(QMessageBox.StandardButton.Cancel)
    menu = slides.widget.menu.make([cmu])
    entry = next(action for action in menu.actions() if action.text() == "Label and macro ...")
    entry.trigger()
    slides.settle(0.3)
    assert slides.widget.private.dialog is None
    answer_with(QMessageBox.StandardButton.Ok)
    entry.trigger()
    wait_until(lambda: slides.widget.private.dialog is not None)
    assert "patient" in asked[0]
    words = [label.text() for label in slides.widget.private.dialog.findChildren(QLabel)]
    assert "<b>label</b>" in words
    assert "<b>macro</b>" in words
    slides.widget.private.dialog.close()
    slides.widget.private.dialog = None
    assert [layer.name for layer in slides.viewer.layers] == []


# -- slides of napari's own menu -------------------------------------------------------------------


def test_a_slide_opened_by_napari_is_taken_over(slides, tmp_path):
    from napari_medssl._slide_reader import get_slide_reader

    path = str(write_slide(tmp_path / "dropped.svs", 600, 800))
    ((levels, options, _),) = get_slide_reader(path)(path)
    slides.viewer.add_image(levels, **options)
    slides.settle(0.2)
    key = slides.session.current
    assert slides.session.entry(key).source == path
    assert slides.session.entry(key).fingerprint
    wait_until(lambda: slides.widget.view.map.has_picture)
    wait_until(lambda: slides.widget.regions.session.store is not None)
    slides.widget.files.remove([key])
    slides.settle()
    assert slides.session.current is None
    assert list(slides.viewer.layers) == []
