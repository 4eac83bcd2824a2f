"""Heatmap and comparison of the widget "Find similar" in a real window."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtTest import QTest
from separation_world import wait_until
from similar_world import COLORS, GRID, MPP, TILE, kinds

from napari_medssl.widgets.similar.outlines import HIT, WANTED

pytestmark = pytest.mark.gui


@pytest.fixture
def mapped(similar):
    similar.show(0)
    similar.pick(300, 200)
    similar.widget.heatmap.switch.setChecked(True)
    wait_until(lambda: similar.widget.heatmap.is_shown)
    similar.settle()
    return similar


def test_the_heatmap_lies_on_the_tiles(mapped):
    layer = mapped.widget.heatmap.layer
    assert layer.data.shape == GRID
    likes = kinds(0) == 0
    assert layer.data[likes].min() > layer.data[~likes].max()
    # The corners of the layer are those of the slide, in microns.
    world = [layer.data_to_world(corner) for corner in ((-0.5, -0.5), np.array(GRID) - 0.5)]
    front = mapped.widget.places.front
    height, width = GRID[0] * TILE, GRID[1] * TILE
    slide = [front.layer.data_to_world(c) for c in ((-0.5, -0.5), (height - 0.5, width - 0.5))]
    assert np.allclose(world, slide)
    assert np.allclose(world[1], (height * MPP - 0.25, width * MPP - 0.25))
    assert mapped.viewer.layers.index(layer) == mapped.viewer.layers.index(front.layer) + 1


def test_the_threshold_leaves_the_like_and_tells_their_area(mapped):
    panel = mapped.widget.heatmap
    likes = kinds(0) == 0
    between = (panel.layer.data[likes].min() + panel.layer.data[~likes].max()) / 2
    panel.set_threshold(float(between))
    assert np.isfinite(panel.layer.data).sum() == 20
    area = 20 * (TILE * MPP / 1000) ** 2
    assert panel.words.text().endswith(f"20 tiles · {area:.3g} mm²")


def test_the_heatmap_follows_query_and_slide(mapped):
    panel = mapped.widget.heatmap
    first = panel.layer.data.copy()
    mapped.pick(900, 800)
    wait_until(lambda: not np.array_equal(panel.layer.data, first))
    mapped.show(2)
    wait_until(lambda: "not indexed" in panel.words.text())
    assert not panel.is_shown
    mapped.show(1)
    wait_until(lambda: panel.is_shown)
    panel.switch.setChecked(False)
    assert not panel.is_shown


def test_the_eye_of_the_layer_is_the_switch(mapped):
    panel = mapped.widget.heatmap
    panel.layer.visible = False
    assert not panel.switch.isChecked()
    panel.layer.visible = True
    assert panel.switch.isChecked()
    wait_until(lambda: panel.is_shown)


def test_taking_the_layer_away_switches_off(mapped):
    mapped.viewer.layers.remove(mapped.widget.heatmap.layer)
    assert not mapped.widget.heatmap.switch.isChecked()


def test_the_threshold_is_that_of_the_counts(mapped):
    panel, concepts = mapped.widget.heatmap, mapped.widget.concepts
    assert "all similarities · 80 tiles" in panel.words.text()
    concepts.threshold.setValue(0.5)
    assert "similarity ≥ 0.500" in panel.words.text()
    low, high = panel._map.limits
    assert panel.slider.value() == pytest.approx(1000 * (0.5 - low) / (high - low), abs=1)
    panel.slider.setValue(750)
    assert concepts.threshold.value() == pytest.approx(low + 0.75 * (high - low), abs=6e-4)
    panel.slider.setValue(0)
    assert np.isfinite(panel.layer.data).all()
    assert concepts.threshold.value() == pytest.approx(mapped.session.hits[-1].similarity, abs=6e-4)


def test_the_heatmap_fades_where_a_tile_fills_the_canvas(mapped):
    layer, camera = mapped.widget.heatmap.layer, mapped.viewer.scene.camera
    far = layer.opacity
    assert far > 0.4
    mapped.click_hit(0)
    wait_until(lambda: layer.opacity < 0.15)
    camera.zoom = 0.2
    wait_until(lambda: layer.opacity > 0.5)
    layer.opacity = 0.8  # what a person sets stays
    camera.zoom = 20
    mapped.settle(0.2)
    assert layer.opacity == 0.8


def test_a_hit_that_came_under_the_mouse_can_be_rested_on(similar):
    similar.show(0)
    similar.pick(300, 200)
    view, compare = similar.widget.gallery.view, similar.widget.compare
    view.hover(view.model().index(1, 0))
    similar.pick(900, 200)  # other hits: what was rested on is gone
    view.hover(view.model().index(1, 0))
    wait_until(compare.frame.isVisible)
    compare.hide()


def test_resting_on_a_hit_shows_it_beside_the_query(mapped):
    view, compare = mapped.widget.gallery.view, mapped.widget.compare
    place = mapped.cell(1).center()
    QTest.mouseMove(view.viewport(), place)
    QTest.mouseMove(view.viewport(), place + (mapped.cell(1).topLeft() - place) / 4)
    wait_until(compare.frame.isVisible)
    for picture in compare.frame.pictures:
        color = np.array(picture.pixmap().toImage().pixelColor(128, 128).getRgb()[:3])
        assert np.abs(color - COLORS[0]).max() < 40
    for picture, color in zip(compare.frame.pictures, (WANTED, HIT), strict=True):
        left = picture.pixmap().toImage().pixelColor(round(256 / 6), 128).name()  # frame of a tile
        assert left == color
    assert f"{1.5 * TILE * MPP:.0f} µm" in compare.frame.width_words.text()
    assert "0." in compare.frame.words[1].text() or "1.0" in compare.frame.words[1].text()
    compare.hide()
    assert not compare.frame.isVisible()
