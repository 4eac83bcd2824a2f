"""Slides that are replaced, go away and come back, and stores that stand in for them."""

from __future__ import annotations

import os

import numpy as np
import pytest
from slides_world import wait_until, write_slide

from napari_medssl.backend.convert_slide import ConvertConfig, convert_slide
from napari_medssl.io.geojson.feature import rectangle
from napari_medssl.state.slide_entry import CHANGED, SlideState
from napari_medssl.widgets.slides import SlidesWidget

pytestmark = pytest.mark.gui


def open_with_regions(slides, number=0):
    slides.show(number)
    wait_until(lambda: slides.widget.regions.session.store is not None)
    return slides.widget.regions.session.store


def test_regions_are_not_shown_on_another_content(slides):
    open_with_regions(slides).draw(rectangle(100, 100, 600, 600))
    slides.viewer.layers.remove(slides.layer)
    content = slides.slides[0].read_bytes()
    write_slide(slides.slides[0], seed=7)  # replaced, and nobody looked at it since
    assert open_with_regions(slides).region_keys() == ()
    assert "is another content than when it was added" in slides.widget.error.text()
    assert slides.session.entry(slides.keys[0]).problem == CHANGED
    slides.viewer.layers.remove(slides.layer)
    slides.slides[0].write_bytes(content)
    assert len(open_with_regions(slides).region_keys()) == 1
    assert slides.widget.error.isHidden()


def test_a_file_that_is_replaced_while_it_is_shown_is_told(slides):
    slides.show(0)
    write_slide(slides.slides[0], seed=7)
    os.utime(slides.slides[0], ns=(1, 1))
    slides.widget.display._glance()
    wait_until(lambda: "was replaced while it is shown" in slides.widget.error.text())


def test_what_could_not_be_read_is_read_when_the_file_is_back(slides):
    slides.show(0)
    content = slides.slides[0].read_bytes()
    os.truncate(slides.slides[0], 5000)
    slides.slides[0].rename(slides.slides[0].with_name("away"))
    slides.widget.view.show_full_size()
    for x in range(200, 2000, 400):
        slides.widget.view.go_to.setText(f"{x}, 700")
        slides.widget.view.go()
        slides.settle(0.05)
    wait_until(lambda: slides.widget.error.text())
    slides.widget.display._glance()
    wait_until(lambda: not slides.session.entry(slides.keys[0]).is_readable)
    assert len(slides.viewer.layers) == 1
    slides.slides[0].write_bytes(content)
    slides.widget.display._glance()
    wait_until(lambda: slides.widget.error.isHidden())
    slides.settle(0.3)
    shot = slides.viewer.screenshot(flash=False)[..., :3]
    assert (shot == 160).all(axis=-1).mean() < 0.01  # the scale bar has greys too


def test_a_store_of_another_resolution_does_not_stand_in(slides, tmp_path):
    out = tmp_path / "coarse.ome.zarr"
    convert_slide(str(slides.slides[0]), out, ConvertConfig(mpp=2.0))
    key = slides.keys[0]
    slides.library.note_made(str(slides.slides[0]), "", converted=str(out))
    slides.slides[0].unlink()
    slides.widget.files.verify()
    slides.wait_looked()
    slides.widget.open_slide(key)
    wait_until(lambda: "another resolution, 500 x 375" in slides.widget.error.text())
    assert slides.session.current is None


def test_a_store_of_the_same_pixels_stands_in_with_the_regions(slides, tmp_path):
    open_with_regions(slides).draw(rectangle(100, 100, 600, 600))
    out = tmp_path / "same.ome.zarr"
    convert_slide(str(slides.slides[0]), out)
    slides.library.note_made(str(slides.slides[0]), "", converted=str(out))
    slides.viewer.layers.remove(slides.layer)
    slides.slides[0].unlink()
    slides.widget.files.verify()
    slides.wait_looked()
    assert len(open_with_regions(slides).region_keys()) == 1
    assert slides.widget.display.slide.source == str(out)


def test_a_slide_opened_before_the_widget_is_taken_over(slides, tmp_path):
    from napari_medssl._slide_reader import get_slide_reader

    path = str(write_slide(tmp_path / "before.svs", 600, 800))
    ((levels, options, _),) = get_slide_reader(path)(path)
    slides.session.show(slides.keys[0], None)  # the widget of the test leaves it alone
    slides.widget.display._layer = object()
    layer = slides.viewer.add_image(levels, **options)
    other = SlidesWidget(slides.viewer, tmp_path / "libraries")
    try:
        assert other.session.layer is layer
        assert other.session.entry(other.session.current).source == path
        wait_until(lambda: other.regions.session.store is not None)
    finally:
        other.shut_down()
        slides.widget.display._layer = None
        slides.session.leave()
        slides.viewer.layers.clear()


def test_a_closed_dock_leaves_no_layer_that_looks_as_if_it_were_saved(slides, tmp_path):
    path = write_slide(tmp_path / "other.svs", 600, 800)
    other = SlidesWidget(slides.viewer, tmp_path / "libraries")
    (key,) = other.files.add_sources([str(path)])
    wait_until(lambda: other.session.entry(key).fingerprint)
    other.open_slide(key)
    wait_until(lambda: other.regions.session.store is not None)
    other.regions.session.store.draw(rectangle(100, 100, 300, 300))
    wait_until(lambda: "regions" in slides.viewer.layers)
    other.shut_down()
    assert [layer.name for layer in slides.viewer.layers] == ["other.svs"]
    again = SlidesWidget(slides.viewer, tmp_path / "libraries")
    wait_until(lambda: again.regions.session.store is not None)
    assert len(again.regions.session.store.region_keys()) == 1
    again.shut_down()
    slides.viewer.layers.clear()


def test_converting_marks_the_slide_that_was_meant_though_another_library_is_open(slides, tmp_path):
    panel = slides.widget.converting
    slides.widget.list.mark(slides.keys[0])
    panel.start()
    former = slides.library.folder
    slides.widget.files.choice.open(tmp_path / "other.slides")
    other = write_slide(tmp_path / "else.svs", 300, 300)
    (key,) = slides.widget.files.add_sources([str(other)])
    assert key == slides.keys[0]  # ids are those of a library
    wait_until(lambda: not panel.jobs.is_busy, 60)
    assert slides.session.entry(key).state == SlideState.LINKED
    slides.wait_looked()
    slides.widget.files.choice.open(former)
    slides.wait_looked()


def test_stores_are_verified(slides):
    panel = slides.widget.converting
    slides.widget.list.mark(slides.keys[0])
    panel.start_verifying()
    assert "None of the slides marked has a store" in slides.widget.error.text()
    panel.start()
    wait_until(lambda: not panel.jobs.is_busy, 60)
    panel.start_verifying()
    wait_until(lambda: slides.widget.status.text() == "The store is as written.", 30)
    store = slides.session.entry(slides.keys[0]).converted
    shard = next(
        os.path.join(folder, name)
        for folder, _, names in os.walk(os.path.join(store, "0", "c"))
        for name in names
    )
    data = bytearray(np.fromfile(shard, np.uint8))
    data[len(data) // 2] ^= 1
    with open(shard, "wb") as stream:
        stream.write(data)
    panel.start_verifying()
    wait_until(lambda: "are missing, damaged or do not belong there" in slides.widget.error.text())


def test_a_verification_is_told_and_not_the_glance_before_it(slides):
    slides.slides[0].unlink()
    slides.widget.files.refresh()  # a glance, which nobody waits to hear of
    slides.widget.files.verify([slides.keys[1]])
    slides.wait_looked()
    assert slides.widget.status.text() == "Verified: 1 slide as added."
    slides.widget.files.verify()
    slides.wait_looked()
    assert slides.widget.error.text() == "Verified: 1 of 2 missing, damaged or changed."
