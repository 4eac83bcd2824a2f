"""The widget "Find similar" in a real window: pick, gallery, fly, index, and what goes wrong."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication
from separation_world import NO_KEYS, wait_until
from similar_world import COLORS, CONFIG, TILE, write_pyramid

from napari_medssl._errors import UserError
from napari_medssl.backend.index_slides import index_slides
from napari_medssl.backend.jobs import Progress
from napari_medssl.state.search_examples import Area
from napari_medssl.state.slide_entry import SlideState
from napari_medssl.widgets._item_model import STATE_ROLE
from napari_medssl.widgets.similar.example_strip import picture_key
from napari_medssl.widgets.similar.gallery_model import SIMILARITY_ROLE
from napari_medssl.widgets.slides import SlidesWidget

pytestmark = pytest.mark.gui
SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


def test_a_click_on_the_slide_fills_the_gallery_with_its_like(similar):
    similar.show(0)
    similar.pick(300, 200)
    (example,) = similar.session.examples
    assert example.is_indexed
    assert (example.area.x, example.area.y) == (256, 128)
    hits = similar.session.hits
    assert [similar.kind_of(hit.tile) for hit in hits[:38]] == [0] * 38  # 2 x 20 but the query
    assert all(
        (hit.tile.x, hit.tile.y) != (256, 128) or hit.tile.slide != example.area.slide
        for hit in hits
    )
    model = similar.widget.gallery.view.model()
    assert model.rowCount() == len(hits)
    index = model.index(0, 0)
    assert index.data(SIMILARITY_ROLE) == f"{hits[0].similarity:.3f}"
    assert index.data() in ("slide0.svs", "slide1.svs")
    assert similar.widget.gallery.count.text().endswith("exact")
    wait_until(lambda: index.data(Qt.ItemDataRole.DecorationRole) is not None)
    color = index.data(Qt.ItemDataRole.DecorationRole).toImage().pixelColor(80, 80)
    assert np.abs(np.array(color.getRgb()[:3]) - COLORS[0]).max() < 40


def test_a_click_on_a_hit_of_the_same_slide_centres_it(similar):
    similar.show(0)
    similar.pick(300, 200)
    same = similar.session.examples[0].area.slide
    row = next(n for n, hit in enumerate(similar.session.hits) if hit.tile.slide == same)
    similar.widget.gallery.view.scrollTo(similar.widget.gallery.view.model().index(row, 0))
    similar.click_hit(row)
    tile = similar.session.hits[row].tile
    assert similar.middle() == pytest.approx((tile.x + TILE / 2, tile.y + TILE / 2))
    shown = TILE * 0.5 * similar.viewer.scene.camera.zoom
    assert shown == pytest.approx(0.35 * min(similar.viewer.canvas.size), rel=0.01)
    layer = similar.widget.outlines.layer
    corners = np.asarray(layer.data[-1])
    assert corners.min(axis=0).tolist() == [tile.y - 0.5, tile.x - 0.5]
    assert corners.max(axis=0).tolist() == [tile.y + TILE - 0.5, tile.x + TILE - 0.5]


def test_a_hit_of_another_slide_opens_that_slide(similar):
    first = similar.show(0)
    similar.widget.tools.no_slide.setChecked(True)
    similar.pick(300, 200)
    assert {hit.tile.slide for hit in similar.session.hits}.isdisjoint(
        {similar.session.examples[0].area.slide}
    )
    similar.click_hit(0)
    wait_until(lambda: not similar.widget.fly.is_opening)
    tile = similar.session.hits[0].tile
    front = similar.widget.places.front
    assert front.fingerprint == tile.slide
    assert not first.visible
    assert similar.middle() == pytest.approx((tile.x + TILE / 2, tile.y + TILE / 2))
    assert front.layer.name == "slide1.svs"
    assert tuple(front.layer.scale) == (0.5, 0.5)


def test_beside_the_widget_slides_a_hit_opens_there(similar, tmp_path):
    slides = SlidesWidget(similar.viewer, tmp_path / "libraries")
    similar.viewer.window.add_dock_widget(slides, name="Slides", area="right")
    try:
        similar.show(0)
        similar.widget.tools.no_slide.setChecked(True)
        similar.pick(300, 200)
        similar.click_hit(0)
        wait_until(lambda: not similar.widget.fly.is_opening)
        tile = similar.session.hits[0].tile
        assert slides.session.entry(slides.session.current).fingerprint == tile.slide
        assert similar.middle() == pytest.approx((tile.x + TILE / 2, tile.y + TILE / 2))
        assert len(slides.session.library.store) == 2
        slides.session.mask(True)
        alias = slides.session.title(slides.session.current)
        assert similar.widget.gallery.view.model().index(0, 0).data() == alias
    finally:
        slides.shut_down()
        similar.viewer.window.remove_dock_widget(slides)
        slides.deleteLater()


def test_a_slide_that_is_not_indexed_is_embedded_on_the_spot(similar):
    similar.show(2)
    similar.pick(300, 200)
    (example,) = similar.session.examples
    assert not example.is_indexed
    assert example.area.middle == pytest.approx((300, 200), abs=8)
    assert {similar.kind_of(hit.tile) for hit in similar.session.hits[:30]} == {2}


def test_a_box_asks_for_the_mean_of_its_tiles(similar):
    similar.show(0)
    similar.widget.pick.set_mode("box")
    similar.drag_slide((100, 600), (600, 900))
    similar.wait_answer(None)
    (example,) = similar.session.examples
    assert example.area.width == pytest.approx(500, abs=10)
    assert not example.is_indexed
    assert {similar.kind_of(hit.tile) for hit in similar.session.hits[:30]} == {2}
    layer = similar.widget.outlines.layer
    assert len(layer.data) == 1
    similar.viewer.scene.camera.zoom *= 8  # from near, a large box has no beam for a frame
    similar.settle(0.3)
    pixels = layer.edge_width[0] * layer.scale[-1] * similar.viewer.scene.camera.zoom
    assert 1.9 < pixels < 5.3
    similar.widget.pick.set_mode("")
    assert similar.viewer.scene.camera.mouse_pan


def test_a_drag_in_the_tile_mode_pans_and_asks_nothing(similar):
    similar.show(0)
    similar.widget.pick.set_mode("tile")
    before = similar.viewer.scene.camera.center
    similar.drag_slide((300, 300), (500, 500))
    assert similar.viewer.scene.camera.center != before
    assert similar.session.examples == ()


def test_a_slide_that_goes_during_the_flight_is_opened_again(similar):
    layer = similar.show(0)
    similar.pick(300, 200)
    own = similar.session.examples[0].area
    similar.widget.fly.fly(own)
    similar.viewer.layers.remove(layer)
    wait_until(lambda: not similar.widget.fly.is_opening)
    assert similar.widget.places.front.fingerprint == own.slide
    assert similar.middle() == pytest.approx(own.middle)


def test_a_tile_of_a_former_collection_is_looked_at_no_more(similar):
    similar.show(2)
    front = similar.widget.places.front
    area = Area(front.fingerprint, 300, 200, 0, 0)
    similar.widget.queries.ask_place(front, area, "new")
    assert similar.widget.status.text() == "Looking at the tile ..."
    similar.session.use_collection(similar.session.collection)
    assert not similar.widget.status.text()


def test_a_warning_outlasts_the_look_at_the_stain(similar):
    words, stain = similar.widget.messages, similar.widget.stain
    for said in ("Only 0% of this place is tissue.", ""):
        words.say(said)
        stain.began.emit()
        assert similar.widget.status.text() == (said or "Taking the stain away ...")
        stain.ended.emit()
        assert similar.widget.status.text() == said


def drop(similar, path):
    """Drag a file onto the widget and let it go."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    copy, left = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    enter = QDragEnterEvent(QPoint(5, 5), copy, mime, left, NO_KEYS)
    QApplication.sendEvent(similar.widget, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(similar.widget, QDropEvent(QPointF(5, 5), copy, mime, left, NO_KEYS))


def test_a_dropped_picture_is_searched_for(similar, tmp_path):
    picture = np.full((200, 200, 3), COLORS[3], np.uint8)
    picture = np.clip(picture + np.random.default_rng(0).normal(0, 12, picture.shape), 0, 255)
    Image.fromarray(picture.astype(np.uint8)).save(tmp_path / "tile.png")
    drop(similar, tmp_path / "tile.png")
    similar.wait_answer(None)
    assert {similar.kind_of(hit.tile) for hit in similar.session.hits[:30]} == {3}
    (tile,) = similar.widget.strip.tiles
    assert tile.example.area is None


def test_a_dim_picture_that_is_dropped_is_shown_light(similar, tmp_path):
    dim = np.zeros((200, 200), np.uint8)
    dim[50:150, 50:150] = 40
    Image.fromarray(dim).save(tmp_path / "dim.png")
    drop(similar, tmp_path / "dim.png")
    wait_until(lambda: similar.widget.strip.tiles, 120.0)
    (tile,) = similar.widget.strip.tiles
    wait_until(lambda: tile._find(picture_key(tile.example)) is not None)
    similar.settle()
    shown = tile.grab().toImage()
    assert shown.pixelColor(tile.width() // 2, tile.height() // 2).red() == 255
    wait_until(lambda: similar.session.answer or similar.widget.error.text(), 120.0)


def test_plus_and_minus_rank_anew(similar):
    similar.show(0)
    similar.pick(300, 200)  # of kind 0
    similar.pick(900, 200, SHIFT)  # of kind 1
    assert {similar.kind_of(hit.tile) for hit in similar.session.hits[:60]} == {0, 1}
    assert len(similar.widget.strip.tiles) == 2
    similar.pick(300, 200, CONTROL)
    kinds = [similar.kind_of(hit.tile) for hit in similar.session.hits]
    assert set(kinds[:35]) == {1}
    assert [one.is_wanted for one in similar.session.examples] == [True, False]
    similar.click_sign(0, True)
    assert len(similar.session.examples) == 3
    former = similar.session.answer
    similar.session.remove(similar.session.examples[1])
    similar.wait_answer(former)
    assert len(similar.widget.strip.tiles) == 2


def test_names_are_hidden(similar):
    similar.show(0)
    similar.pick(300, 200)
    similar.widget.header.mask_entry.trigger()
    index = similar.widget.gallery.view.model().index(0, 0)
    for role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
        assert "slide" not in index.data(role)


def test_names_of_layers_and_files_are_hidden_and_come_back(similar):
    first = similar.show(0)
    first.name = "my first"
    similar.widget.header.mask_entry.trigger()
    second = similar.show(1)
    similar.settle()
    titles = [similar.widget.places.title(one.fingerprint) for one in similar.widget.places.shown()]
    assert [second.name, first.name] == titles
    for layer in (first, second):
        told = str(layer.get_status((10, 10), world=True))  # the status bar
        assert "slide" not in told
        assert "my first" not in told
        assert "slide" not in layer.get_source_str()
    similar.widget.header.mask_entry.trigger()
    assert [first.name, second.name] == ["my first", "slide1"]
    assert first.source.path == str(similar.slides[0])
    assert "slide0.svs" in str(first.get_status((10, 10), world=True))


def test_a_plain_image_in_front_is_not_passed_over(similar):
    slide = similar.show(0)
    plain = similar.viewer.add_image(np.zeros((300, 300), np.uint8), name="cells")
    similar.widget.pick.set_mode("tile")
    similar.click_slide(300, 200)  # in microns, that is on the image
    assert "'cells' is a plain image, not a slide" in similar.widget.error.text()
    assert not similar.session.examples
    plain.visible = False
    similar.pick(300, 200)
    assert similar.session.examples
    similar.viewer.layers.remove(slide)
    plain.visible = True
    similar.settle()
    assert similar.widget.places.front is None
    assert similar.widget.places.cover_at((100, 100)) == "cells"


def test_a_dropped_slide_is_offered_to_be_opened(similar, tmp_path):
    zone = similar.widget.drop
    drop(similar, similar.slides[1])
    wait_until(zone.isVisible)
    assert "slide1.svs" in zone.words.text()
    assert not similar.session.examples
    zone.open_button.click()
    wait_until(lambda: similar.widget.places.front is not None)
    assert similar.widget.places.front.source == str(similar.slides[1])
    assert zone.isHidden()
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.4 and so on")
    drop(similar, tmp_path / "paper.pdf")
    wait_until(lambda: "'paper.pdf' is a document" in similar.widget.error.text())


def test_a_place_of_glass_is_told(similar, tmp_path):
    pixels = np.full((1024, 1280, 3), 244, np.uint8)
    pixels[:, :640] = np.random.default_rng(0).integers(
        (90, 20, 90), (210, 90, 190), (1024, 640, 3)
    )
    write_pyramid(tmp_path / "half.svs", pixels)
    similar.viewer.open(str(tmp_path / "half.svs"), plugin="napari-medssl")
    similar.viewer.reset_view()
    similar.settle(0.2)
    similar.pick(300, 400)
    assert "is tissue" not in similar.widget.status.text()
    similar.pick(1000, 400)
    assert "Only 0% of this place is tissue" in similar.widget.status.text()


def test_messages_hide_names_that_are_parts_of_others_and_folders(similar):
    similar.show(0)
    places, session = similar.widget.places, similar.session
    first, second = session.records
    for one, path in ((first, "/anna/a.svs"), (second, "/anna/anna_a.svs")):
        session.records[one] = replace(session.records[one], path=path)
    told = "Of /anna/anna_a.svs and a.svs in /anna."
    assert places.masked_text(told) == told
    similar.widget.header.mask_entry.trigger()
    similar.widget.messages.tell(told, False)
    shown = similar.widget.status.text()
    assert "a.svs" not in shown
    assert "anna" not in shown
    assert shown.index(places.title(second)) < shown.index(places.title(first))


def test_the_patient_is_left_out(similar):
    similar.show(0)
    similar.widget.tools.no_patient.setChecked(True)
    similar.pick(300, 200)
    records = similar.session.records
    assert {records[hit.tile.slide].patient for hit in similar.session.hits} == {"B"}


def test_without_a_library_a_pick_says_so(similar_window, tmp_path):
    similar_window.begin(tmp_path, is_open=False)
    similar_window.show(0)
    similar_window.widget.pick.set_mode("tile")
    similar_window.click_slide(300, 200)
    assert "No library is open" in similar_window.widget.error.text()
    similar_window.widget.choice.open(tmp_path / "nothing")
    wait_until(lambda: "There is no library" in similar_window.widget.error.text())


def test_a_click_beside_the_slide_is_refused(similar):
    similar.show(0)
    similar.widget.pick.set_mode("tile")
    similar.click_slide(-40, 300)
    assert "beside the slide" in similar.widget.error.text()


def test_the_library_that_was_open_is_opened_again(similar, tmp_path):
    similar.end()
    similar.begin(tmp_path, is_open=False)
    wait_until(lambda: similar.session.collection is not None)
    assert similar.session.library.folder == similar.library


def test_the_widget_slides_shows_that_a_slide_is_indexed(similar_window, tmp_path):
    similar_window.begin(tmp_path, is_open=False)
    library = tmp_path / "new.library"
    index_slides([str(similar_window.slides[0])], library, CONFIG)
    similar_window.widget.choice.open(library)
    wait_until(lambda: similar_window.session.collection is not None)
    slides = SlidesWidget(similar_window.viewer, tmp_path / "libraries")
    similar_window.viewer.window.add_dock_widget(slides, name="Slides", area="right")
    try:
        similar_window.show(2)  # the widget "Slides" takes it over
        wait_until(lambda: slides.session.current is not None)
        key = slides.session.current
        assert slides.session.entry(key).state == SlideState.LINKED
        similar_window.widget.index_front()
        wait_until(lambda: slides.session.entry(key).state == SlideState.INDEXED, 60)
        assert slides.session.entry(key).index == str(library)
        assert slides.list.model.index(0).data(STATE_ROLE) == "indexed"
    finally:
        slides.shut_down()
        similar_window.viewer.window.remove_dock_widget(slides)
        slides.deleteLater()


def test_this_slide_is_indexed_from_the_widget(similar_window, tmp_path):
    similar_window.begin(tmp_path, is_open=False)
    library = tmp_path / "new.library"
    index_slides([str(similar_window.slides[0])], library, CONFIG)
    similar_window.widget.choice.open(library)
    wait_until(lambda: similar_window.session.collection is not None)
    similar_window.show(2)
    panel = similar_window.widget.indexing
    assert "is not in this collection" in panel.state.text()
    panel.patients.line.setText("(slide")
    similar_window.widget.index_front()
    assert "neither a CSV file nor a regular expression" in similar_window.widget.error.text()
    panel.patients.line.setText(r"(slide\d)")
    assert panel.patients.words.text() == "This slide: slide2"
    similar_window.widget.messages.say("What was done before")
    similar_window.widget.index_front()
    assert not similar_window.widget.status.text()
    wait_until(lambda: len(similar_window.session.records) == 2, 60)
    assert panel.state.text() == "slide2.svs is indexed: 80 tiles, patient slide2."
    similar_window.pick(300, 200)
    assert similar_window.session.examples[0].is_indexed
    wait_until(lambda: not panel.jobs.is_busy)
    (tmp_path / "whose.csv").write_text("slide,patient\nslide2.svs,P7\n")
    panel.patients.line.setText(str(tmp_path / "whose.csv"))
    similar_window.widget.index_front()
    wait_until(lambda: "patient P7" in panel.state.text(), 60)
    wait_until(lambda: "All tiles of slide2.svs were in" in similar_window.widget.status.text())
    panel.patients.line.setText("^(TCGA)")
    similar_window.widget.index_front()
    said = "The rule does not say whose 'slide2.svs' is"
    wait_until(lambda: said in similar_window.widget.status.text(), 60)


def test_names_are_hidden_while_a_slide_is_indexed(similar, monkeypatch):
    def report_and_fail(task, *, on_progress, should_stop):
        on_progress(Progress(1, 2, "slide2.svs"))
        seen.wait(15)
        raise UserError(f"Cannot read {task.source!r}.")

    seen, panel = threading.Event(), similar.widget.indexing
    monkeypatch.setattr("napari_medssl.widgets.similar.index_panel.index_slide", report_and_fail)
    similar.show(2)
    similar.widget.header.mask_entry.trigger()
    alias = similar.widget.places.title(similar.widget.places.front.fingerprint)
    told = []
    panel.jobs.progressed.connect(told.append)
    panel.index_front()
    wait_until(lambda: told)
    assert panel.jobs._words.text().startswith(alias)
    assert "slide2" not in panel.jobs._words.text()
    seen.set()
    wait_until(lambda: not panel.jobs.is_busy)
    assert panel.jobs._error.text() == f"Cannot read {alias!r}."


def test_a_slide_that_moved_is_told_and_found_where_it_is_open(similar_window, tmp_path):
    similar_window.begin(tmp_path, is_open=False)
    place = tmp_path / "moved.svs"
    place.write_bytes(similar_window.slides[2].read_bytes())
    library = tmp_path / "new.library"
    index_slides([str(place)], library, CONFIG)
    place.unlink()
    similar_window.widget.choice.open(library)
    wait_until(lambda: similar_window.session.collection is not None)
    similar_window.show(0)
    similar_window.pick(300, 200)
    assert similar_window.session.hits
    similar_window.click_hit(0)
    wait_until(lambda: "is not at" in similar_window.widget.error.text())
    assert str(place) in similar_window.widget.error.text()
    similar_window.show(2)
    similar_window.click_hit(0)
    assert similar_window.widget.error.isHidden()
    tile = similar_window.session.hits[0].tile
    assert similar_window.middle() == pytest.approx((tile.x + TILE / 2, tile.y + TILE / 2))


def test_an_encoder_that_is_gone_leaves_the_indexed_tiles(similar_window, tmp_path):
    similar_window.begin(tmp_path, is_open=False)
    library = tmp_path / "new.library"
    index_slides([str(similar_window.slides[0])], library, CONFIG)
    (about,) = library.glob("*.embeddings/collection.json")
    about.write_text(
        about.read_text().replace('"encoder_given": "histogram"', '"encoder_given": "gone.onnx"')
    )
    similar_window.widget.choice.open(library)
    wait_until(lambda: "gone.onnx" in similar_window.widget.error.text(), 30)
    assert "only tiles that are indexed" in similar_window.widget.error.text()
    similar_window.show(0)
    similar_window.pick(300, 200)
    assert similar_window.session.hits
    similar_window.show(2)
    similar_window.click_slide(300, 200)
    wait_until(lambda: "gone.onnx" in similar_window.widget.error.text(), 30)


def test_a_new_question_takes_the_former_error_away(similar, tmp_path):
    similar.show(0)
    (tmp_path / "notes.png").write_text("no picture")
    similar.widget.queries.ask_picture(tmp_path / "notes.png", "new")
    wait_until(similar.widget.error.text)
    similar.widget.queries.ask_picture(tmp_path / "other.png", "new")
    assert similar.widget.status.text() == "Looking at the picture ..."
    assert not similar.widget.error.text()
    wait_until(similar.widget.error.text)


def test_what_begins_and_stops_indexing_is_never_scrolled_away(similar):
    similar.show(2)
    panel = similar.widget.indexing
    similar.widget.pages.setCurrentWidget(panel)
    panel.into.setCurrentIndex(panel.into.count() - 1)  # the form of another set-up
    similar.settle(0.2)
    button = panel.button
    assert button.visibleRegion().boundingRect() == button.rect()
