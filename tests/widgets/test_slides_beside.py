"""Slides side by side: cameras linked, unlinked, aligned and linked again."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from slides_world import wait_until

pytestmark = pytest.mark.gui


def camera(viewer):
    center = viewer.scene.camera.center
    return center[1], center[2], viewer.scene.camera.zoom


@pytest.fixture
def beside(slides):
    slides.show(0)
    slides.widget.open_beside(slides.keys[1])
    side = slides.widget.beside
    wait_until(lambda: side.views and side.views[0].link.is_on)
    slides.settle(0.2)
    yield side.views[0]
    side.close_all()
    slides.settle(0.2)


def test_both_cameras_move_together(slides, beside):
    assert beside.layer.name == "slide1.svs"
    start, other = camera(slides.viewer), camera(beside.model)
    assert other == pytest.approx(start)  # slides of one size, both in microns
    slides.widget.view.go_to.setText("1200, 900")
    slides.widget.view.go()
    assert camera(beside.model) == pytest.approx(camera(slides.viewer))
    beside.model.scene.camera.center = (0, 111, 222)
    beside.model.scene.camera.zoom = 3.0
    assert camera(slides.viewer) == pytest.approx((111, 222, 3.0))


def test_unlinked_views_move_alone_and_keep_their_alignment_when_linked_again(slides, beside):
    QTest.mouseClick(beside.link_button, Qt.MouseButton.LeftButton)
    assert beside.link_button.text() == "Unlinked"
    slides.viewer.scene.camera.center = (0, 100, 100)
    slides.viewer.scene.camera.zoom = 1.0
    beside.model.scene.camera.center = (0, 140, 90)
    beside.model.scene.camera.zoom = 2.0
    assert camera(slides.viewer) == (100, 100, 1.0)
    QTest.mouseClick(beside.link_button, Qt.MouseButton.LeftButton)
    slides.viewer.scene.camera.center = (0, 300, 300)
    slides.viewer.scene.camera.zoom = 1.5
    assert camera(beside.model) == pytest.approx((340, 290, 3.0))


def test_a_view_is_closed_by_its_button(slides, beside):
    before = len(slides.viewer.window.dock_widgets)
    beside.dismiss()
    slides.settle(0.2)
    assert slides.widget.beside.views == []
    assert len(slides.viewer.window.dock_widgets) == before - 1
    slides.viewer.scene.camera.zoom = 2.0  # nobody listens any more


def test_a_view_is_closed_with_its_dock(slides, beside):
    slides.viewer.window.remove_dock_widget(beside)
    wait_until(lambda: slides.widget.beside.views == [])
    slides.viewer.scene.camera.zoom = 2.0


def test_two_views_and_names_that_are_hidden(slides, beside):
    slides.widget.open_beside(slides.keys[0])
    side = slides.widget.beside
    wait_until(lambda: len(side.views) == 2)
    slides.settle(0.3)
    slides.viewer.status = "slide0.svs [1, 1]: 2"
    slides.widget.session.mask(True)
    assert all("slide" not in view.name.text() for view in side.views)
    assert "slide" not in slides.viewer.status
    places = [view.mapToGlobal(view.rect().topLeft()) for view in side.views]
    ours = slides.widget.mapToGlobal(slides.widget.rect().topLeft())
    assert places[0].x() < places[1].x() < ours.x()  # all side by side
    heights = [view.height() for view in side.views]
    assert min(heights) > 500
    assert all("slide" not in view.layer.name for view in side.views)
    slides.widget.session.mask(False)
    slides.settle(0.2)


def test_a_bad_slide_beside_is_told(slides, tmp_path):
    bad = tmp_path / "bad.svs"
    bad.write_bytes(b"none")
    (key,) = slides.widget.files.add_sources([str(bad)])
    slides.wait_looked()
    slides.widget.open_beside(key)
    wait_until(lambda: "Cannot open 'bad.svs'" in slides.widget.error.text())
    assert slides.widget.beside.views == []
