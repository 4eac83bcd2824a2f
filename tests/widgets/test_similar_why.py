"""Why hits are alike, ranking without stain, and slides that are being indexed, in a window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from separation_world import wait_until
from similar_world import CONFIG, GRID, MPP, TILE

from napari_medssl.backend.index_slides import index_slides
from napari_medssl.index import Library
from napari_medssl.index.arrays import TILE as TILE_ROW
from napari_medssl.index.arrays import shard_rows
from napari_medssl.index.slide_record import SlideRecord
from napari_medssl.index.slide_writer import SlideWriter
from napari_medssl.io.slides import open_slide
from napari_medssl.widgets.similar.gallery_model import SIMILARITY_ROLE, STAIN_ROLE

pytestmark = pytest.mark.gui


def rest_on(world, row):
    """Rest the mouse on a hit."""
    view, cell = world.widget.gallery.view, world.cell(row)
    QTest.mouseMove(view.viewport(), cell.center())
    QTest.mouseMove(view.viewport(), cell.center() + (cell.topLeft() - cell.center()) / 4)


def test_why_says_that_colours_give_no_maps(similar):
    similar.show(0)
    similar.pick(300, 200)
    similar.widget.tools.why.setChecked(True)
    rest_on(similar, 1)
    words = similar.widget.compare.frame.width_words
    wait_until(lambda: "'histogram' gives no maps of a tile" in words.text())
    assert similar.widget.compare.frame.isVisible()
    assert similar.widget.error.isHidden()


def test_why_marks_patches_on_query_and_hit(similar_window, tmp_path):
    similar_window.begin(tmp_path, is_open=False)
    config = replace(CONFIG, encoder="imagenet", size=2 * TILE)
    index_slides([str(similar_window.slides[0])], tmp_path / "maps.library", config)
    similar_window.widget.choice.open(tmp_path / "maps.library")
    wait_until(lambda: similar_window.session.collection is not None)
    similar_window.show(0)
    similar_window.pick(300, 200)
    similar_window.widget.tools.why.setChecked(True)
    rest_on(similar_window, 1)
    frame = similar_window.widget.compare.frame
    wait_until(frame.isVisible)
    plain = [picture.pixmap().toImage() for picture in frame.pictures]
    wait_until(lambda: "bring" in frame.width_words.text(), 60)
    assert f"{similar_window.session.hits[1].similarity:.2f}" in frame.width_words.text()
    for picture, before in zip(frame.pictures, plain, strict=True):
        assert picture.pixmap().toImage() != before
        colors = {
            picture.pixmap().toImage().pixelColor(x, y).name() for x in range(256) for y in (1, 110)
        }
        assert len(colors) > 3


def test_hits_are_ranked_without_stain_and_marked(similar):
    """The four kinds differ in colour alone: without it all tiles are alike."""
    similar.show(0)
    similar.pick(300, 200)
    model = similar.widget.gallery.view.model()
    wait_until(lambda: similar.session.answer.stain is not None, 60)
    assert len(similar.session.answer.stain.hits) == 24
    assert similar.widget.gallery.badge.text() == "driven by stain"
    assert model.index(0, 0).data(STAIN_ROLE)
    before = similar.session.hits
    similar.widget.gallery.badge.click()
    assert similar.widget.tools.no_stain.isChecked()
    wait_until(lambda: len(similar.session.answer.stain.hits) == len(before), 60)
    hits, stains = similar.session.hits, similar.session.answer.stains()
    assert {hit.tile for hit in hits} == {hit.tile for hit in before}
    values = [stains[hit.tile].similarity for hit in hits]
    assert values == sorted(values, reverse=True)
    assert (
        model.index(0, 0).data(Qt.ItemDataRole.ToolTipRole).count("with the stain taken away") == 1
    )
    similar.widget.gallery.view.hover(model.index(0, 0))
    wait_until(similar.widget.compare.frame.isVisible)
    shown = model.index(0, 0).data(SIMILARITY_ROLE)  # side by side no other number
    assert f"<b>{shown}</b>" in similar.widget.compare.frame.words[1].text()
    similar.widget.tools.no_stain.setChecked(False)
    assert similar.session.hits == before


def test_a_library_that_is_open_is_opened_again_with_its_examples(similar):
    similar.show(0)
    similar.pick(300, 200)
    examples = similar.session.examples
    former = similar.session.answer
    similar.widget.choice.open(similar.library)
    similar.wait_answer(former)
    assert similar.session.examples == examples
    assert similar.session.hits
    assert len(similar.widget.strip.tiles) == 1


def write_part(library, path, shards):
    """Write so many shards of random embeddings of a slide, as an indexing does."""
    (folder,) = Library.open(library).collections
    rng = np.random.default_rng(0)
    tiles = np.zeros(2500, TILE_ROW)
    tiles["x"], tiles["y"] = np.arange(2500) % 50 * 20, np.arange(2500) // 50 * 20
    tiles["size"], tiles["tissue"] = 20, 1
    values = rng.random((2500, folder.set_up.dim)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    with open_slide(path) as slide:
        name, size = slide.fingerprint, slide.dimensions
    record = SlideRecord(name, str(path), "", size, MPP)
    with Library.open(library).write_lock():
        place = folder.slide_folder(name)
        with SlideWriter(place, record, folder.set_up, lambda: tiles) as writer:
            for shard in writer.todo[:shards]:
                writer.write(shard, values[shard_rows(shard, 2500)])


def test_a_slide_that_is_being_indexed_has_a_heatmap_that_grows(similar_window, tmp_path):
    world = similar_window
    world.begin(tmp_path, is_open=False)
    library = tmp_path / "new.library"
    index_slides([str(world.slides[0])], library, CONFIG)
    world.widget.choice.open(library)
    wait_until(lambda: world.session.collection is not None)
    world.show(0)
    world.pick(300, 200)
    panel = world.widget.heatmap
    world.show(2)
    panel.switch.setChecked(True)
    wait_until(lambda: "not indexed" in panel.words.text())
    write_part(library, world.slides[2], 1)
    panel.grow(world.widget.places.front.fingerprint)
    wait_until(lambda: panel.is_shown)
    assert np.isfinite(panel.layer.data).sum() == 1024
    assert panel.words.text().endswith("indexed so far")
    write_part(library, world.slides[2], 1)
    wait_until(lambda: np.isfinite(panel.layer.data).sum() == 2048)


def test_a_slide_without_mpp_is_indexed_with_what_a_person_types(similar_window, tmp_path):
    world = similar_window
    world.begin(tmp_path, is_open=False)
    library = tmp_path / "new.library"
    index_slides([str(world.slides[0])], library, CONFIG)
    rng = np.random.default_rng(3)
    pixels = rng.integers(90, 200, (GRID[0] * TILE, GRID[1] * TILE, 3), np.uint8)
    with tifffile.TiffWriter(tmp_path / "plain.tif") as writer:
        for level, values in enumerate((pixels, pixels[::2, ::2])):
            writer.write(values, tile=(256, 256), photometric="rgb", subfiletype=level)
    world.widget.choice.open(library)
    wait_until(lambda: world.session.collection is not None)
    panel = world.widget.indexing
    world.show(0)
    assert not panel.rows.isRowVisible(panel.mpp)
    world.viewer.open(str(tmp_path / "plain.tif"), plugin="napari-medssl")
    world.viewer.reset_view()
    wait_until(lambda: panel.rows.isRowVisible(panel.mpp))
    world.widget.index_front()
    assert "does not say how large its pixels are" in world.widget.error.text()
    world.widget.pick.set_mode("tile")
    world.click_slide(300, 200)
    assert "Type microns per pixel in the tab Index" in world.widget.error.text()
    panel.mpp.setValue(MPP)
    world.pick(300, 200)
    assert world.session.examples[0].area.width == TILE
    world.widget.index_front()
    wait_until(lambda: len(world.session.records) == 2, 60)
    assert "plain.tif is indexed: 80 tiles" in panel.state.text()


def test_a_heatmap_before_anything_is_indexed(similar_window, tmp_path):
    """The first slide of a new library: its collection is opened while it is being indexed."""
    world = similar_window
    world.begin(tmp_path, is_open=False)
    Library.open(tmp_path / "empty.library", make=True)
    world.widget.choice.open(tmp_path / "empty.library")
    wait_until(lambda: world.session.library is not None)
    world.show(0)
    panel = world.widget.indexing

    panel.form.set_value("encoder", "histogram")
    panel.form.set_value("mpp", MPP)
    panel.form.set_value("size", TILE)
    world.widget.index_front()
    wait_until(lambda: world.session.collection is not None, 60)
    wait_until(lambda: len(world.session.records) == 1, 60)
