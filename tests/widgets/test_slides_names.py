"""Hidden names: no message, list, layer or picture of the widget tells them."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel
from slides_world import wait_until, write_slide

from napari_medssl.state.slide_entry import SlideEntry
from napari_medssl.widgets.slides.session import masked


def test_the_longer_of_two_names_is_hidden_whole():
    entries = [SlideEntry("/scans/a.svs", "S-1"), SlideEntry("/scans/ba.svs", "S-2")]
    assert masked("'ba.svs' and 'a.svs'", entries) == "'S-2' and 'S-1'"


def test_stores_and_folders_named_after_a_patient_are_hidden():
    entries = [SlideEntry("/scans/Meier 1950/Meier.svs", "S-1")]
    text = "Cannot write '/scans/Meier 1950/Meier.ome.zarr', it is beside /scans/Meier 1950."
    assert masked(text, entries) == "Cannot write '.../S-1.ome.zarr', it is beside ...."
    assert masked("1.5 px", [SlideEntry("1.svs", "S-1")]) == "1.5 px"


def all_words(widget):
    model = widget.list.model
    roles = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, *range(256, 262))
    rows = [str(model.index(n).data(int(role))) for n in range(model.rowCount()) for role in roles]
    return "\n".join([*(label.text() for label in widget.findChildren(QLabel)), *rows])


@pytest.mark.gui
def test_messages_of_jobs_name_nobody(slides, tmp_path):
    folder = tmp_path / "Meier"
    folder.mkdir()
    write_slide(folder / "Meier.svs", 600, 800)
    (folder / "Meier.ome.zarr").mkdir()
    (folder / "Meier.ome.zarr" / "mine.txt").write_text("precious")
    (key,) = slides.widget.files.add_sources([str(folder / "Meier.svs")])
    slides.wait_looked()
    slides.session.mask(True)
    seen = []
    converting = slides.widget.converting
    converting.jobs.progressed.connect(lambda _: seen.append(all_words(slides.widget)))
    slides.widget.list.mark(key)
    converting.start()
    wait_until(lambda: slides.widget.error.text(), 30)
    slides.widget.files.add_folder(folder)
    seen.append(all_words(slides.widget))
    slides.wait_looked()
    seen.append(all_words(slides.widget))
    assert "Meier" not in "\n".join(seen)


@pytest.mark.gui
def test_the_status_bar_does_not_tell_the_file_that_napari_opened(slides, tmp_path):
    write_slide(tmp_path / "Meier.svs", 600, 800)
    (layer,) = slides.viewer.open(str(tmp_path / "Meier.svs"), plugin="napari-medssl")
    wait_until(lambda: slides.session.layer is not None)
    assert "Meier.svs" in str(layer.get_status((10, 10), world=True))
    slides.session.mask(True)
    assert "Meier" not in str(layer.get_status((10, 10), world=True))
    assert "Meier" not in layer.name
    slides.session.mask(False)
    assert "Meier.svs" in str(layer.get_status((10, 10), world=True))
    assert layer.name == "Meier.svs"


@pytest.mark.gui
def test_what_was_said_before_is_hidden_too(slides, tmp_path):
    slides.slides[0].unlink()
    slides.widget.open_slide(slides.keys[0])
    wait_until(lambda: "slide0" in slides.widget.error.text())
    slides.widget.mask_entry.trigger()
    assert slides.widget.error.text()
    assert "slide0" not in all_words(slides.widget)


@pytest.mark.gui
def test_names_stay_hidden_when_the_library_is_opened_again(slides, tmp_path):
    folder = slides.library.folder
    slides.widget.mask_entry.trigger()
    slides.widget.files.choice.open(tmp_path / "other.slides")
    assert not slides.widget.mask_entry.isChecked()
    slides.widget.files.choice.open(folder)
    assert slides.widget.mask_entry.isChecked()
    assert "slide0" not in all_words(slides.widget)
