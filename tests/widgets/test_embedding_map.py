"""The widget "Embedding map" in a real window: select, name, filter, go there, export."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from map_world import COUNT, GROUPS, group_of, make_source, wait_until
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_medssl.backend.map_pictures import FilePictures
from napari_medssl.widgets.embedding_map.map_panel import trust_words

pytestmark = pytest.mark.gui
SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
LEFT = Qt.MouseButton.LeftButton


def test_components_are_shown_at_once_and_the_map_takes_their_place(embedding_map):
    work, widget = embedding_map.work, embedding_map.widget
    work.go.clear()
    work.source = make_source(embedding_map.folder / "others", 30)
    widget.open(embedding_map.folder / "others")
    session = embedding_map.session
    wait_until(lambda: session.count == 30 and session.clusters is not None)
    first = embedding_map.session.places.copy()
    assert widget.making.jobs.is_busy
    work.go.set()
    wait_until(lambda: embedding_map.session.trust is not None)
    assert not np.array_equal(first, embedding_map.session.places)
    assert widget.map_panel.trust.text().startswith("Trustworthiness")
    assert "were found" not in widget.map_panel.trust.text()  # all were compared
    session.graph = replace(session.graph, recall=0.97)
    assert trust_words(session).endswith("Of the nearest neighbours 97% were found.")
    assert widget.title.text() == "<b>others</b>"


def test_a_lasso_selects_and_modifiers_combine(embedding_map):
    embedding_map.draw_around(0)
    assert embedding_map.selected() == embedding_map.rows_of(0)
    embedding_map.draw_around(1, SHIFT)
    assert embedding_map.selected() == embedding_map.rows_of(0, 1)
    embedding_map.draw_around(0, CONTROL)
    assert embedding_map.selected() == embedding_map.rows_of(1)
    embedding_map.draw_around(2, tool="rectangle")
    assert embedding_map.selected() == embedding_map.rows_of(2)
    assert embedding_map.widget.bar.words.text() == f"20 of {COUNT} selected"
    QTest.keyClick(embedding_map.map, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert embedding_map.selected() == embedding_map.rows_of(1)


def test_the_gallery_shows_the_selection_and_what_is_picked_lights_up(embedding_map):
    widget = embedding_map.widget
    embedding_map.draw_around(1)
    model = widget.gallery.view.model()
    assert model.rows.tolist() == embedding_map.rows_of(1)
    index = model.index(2, 0)
    wait_until(lambda: index.data(Qt.ItemDataRole.DecorationRole) is not None)
    color = index.data(Qt.ItemDataRole.DecorationRole).toImage().pixelColor(5, 5)
    assert (color.red(), color.green(), color.blue()) == (40, 200, 40)
    place = widget.gallery.view.visualRect(index).center()
    QTest.mouseClick(widget.gallery.view.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, place)
    assert embedding_map.session.picked.rows.tolist() == [embedding_map.rows_of(1)[2]]
    QTest.keyClick(embedding_map.map, Qt.Key.Key_K)
    assert embedding_map.selected() == [embedding_map.rows_of(1)[2]]


def test_a_dim_picture_is_light_in_the_gallery_and_when_it_is_opened(embedding_map):
    """As Segmentation and Landmarks show it: nobody sees what lies between 0 and 40."""
    row = embedding_map.rows_of(1)[2]
    pixels = np.zeros((16, 20), np.uint8)
    pixels[4:12, 5:15] = 40
    Image.fromarray(pixels).save(embedding_map.folder / "pictures" / f"p{row:03d}.png")
    embedding_map.widget.thumbnails.clear()
    embedding_map.draw_around(1)
    view = embedding_map.widget.gallery.view
    index = view.model().index(2, 0)
    wait_until(lambda: index.data(Qt.ItemDataRole.DecorationRole) is not None)
    shown = index.data(Qt.ItemDataRole.DecorationRole).toImage()
    assert (shown.pixelColor(10, 8).red(), shown.pixelColor(1, 1).red()) == (255, 0)
    place = view.visualRect(index).center()
    QTest.mouseClick(view.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, place)
    QTest.mouseDClick(view.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, place)
    wait_until(lambda: len(embedding_map.viewer.layers) == 1)
    layer = embedding_map.viewer.layers[0]
    assert (layer.data[8, 10] == 255).all()
    assert not layer.data[1, 1].any()


def test_a_double_click_in_the_gallery_opens_the_picture(embedding_map):
    embedding_map.draw_around(2)
    for row in embedding_map.rows_of(2)[:2]:
        embedding_map.widget.opener.open(row)
        name = embedding_map.session.source.names[row]
        wait_until(lambda due=name: [layer.name for layer in embedding_map.viewer.layers] == [due])
    assert embedding_map.viewer.layers[0].data.shape == (16, 20, 3)


def test_the_card_fits_into_a_narrow_map_and_its_words_are_whole(embedding_map):
    """As wide as a dock of napari is by itself; with other widgets below it is low, too."""
    widget, over = embedding_map.widget, embedding_map.map
    former = widget.minimumWidth(), widget.maximumWidth()
    widget.setFixedWidth(340)
    wait_until(lambda: over.width() <= 340)
    embedding_map.settle(0.2)
    QTest.mouseDClick(over, Qt.MouseButton.LeftButton, pos=QPoint(5, 5))  # shows all
    card, edges = widget.card, over.rect()
    for row in (0, 4, 11):
        point = embedding_map.at_row(row)
        card.show_row(row, point)
        embedding_map.settle()
        assert edges.contains(card.geometry())
        assert not card.geometry().contains(point)
        words = card.words
        assert words.height() >= words.heightForWidth(words.width())
        shown = [small for small in card.pictures if small.isVisible()]
        assert len(shown) >= 4
        assert all(card.rect().contains(small.geometry()) for small in shown)
    card.show_row(-1, QPoint())
    widget.setMinimumWidth(former[0])
    widget.setMaximumWidth(former[1])


def test_the_card_shows_the_point_under_the_mouse_and_its_neighbours(embedding_map):
    embedding_map.settle(0.1)
    point = embedding_map.at_row(4)
    QTest.mouseMove(embedding_map.map, point - QPoint(60, 60))
    QTest.mouseMove(embedding_map.map, point)
    card = embedding_map.widget.card
    wait_until(lambda: card.isVisible() and card.row >= 0)
    assert "cluster" in card.words.text()
    assert group_of(card.row) == group_of(4)
    shown = [small for small in card.pictures if small.isVisible()]
    assert len(shown) == 5
    assert card.geometry().right() <= embedding_map.map.width()
    QTest.mouseMove(embedding_map.map, QPoint(2, 2))


def test_a_group_is_hidden_by_its_tick_and_cannot_be_selected_then(embedding_map):
    table = embedding_map.widget.groups.legend.table
    embedding_map.widget.pages.setCurrentWidget(embedding_map.widget.groups)
    rows = {table.item(row, 0).text(): row for row in range(table.rowCount())}
    table.item(rows["cluster 0"], 0).setCheckState(Qt.CheckState.Unchecked)
    assert not embedding_map.session.shown[embedding_map.rows_of(0)].any()
    embedding_map.draw_around(0)
    assert embedding_map.selected() == []
    QTest.keyClick(embedding_map.map, Qt.Key.Key_A, CONTROL)
    assert embedding_map.selected() == embedding_map.rows_of(1, 2)
    assert "20 hidden" in embedding_map.widget.bar.words.text()


def test_clusters_are_named_merged_split_assigned_and_all_is_undone(embedding_map):
    widget, clusters = embedding_map.widget, embedding_map.session.clusters
    table = widget.groups.legend.table
    widget.pages.setCurrentWidget(widget.groups)
    table.item(0, 0).setText("lymphocytes")
    first = clusters.id_of("lymphocytes")
    assert first is not None
    embedding_map.draw_around(1)
    widget.groups.name.setCurrentText("new ones")
    QTest.mouseClick(widget.groups.assign_button, LEFT)
    new = clusters.id_of("new ones")
    assert clusters.rows_of(new).tolist() == embedding_map.rows_of(1)
    clusters.merge([first, new])
    assert clusters.counts()[first] == 40
    for _ in range(3):
        QTest.keyClick(embedding_map.map, Qt.Key.Key_Z, CONTROL)
    assert sorted(clusters.counts().values()) == [0, 20, 20, 20]
    assert clusters.id_of("lymphocytes") is None
    assert widget.status.text().startswith("Undone: rename")


def test_the_first_k_means_is_no_step_of_the_person(embedding_map):
    """Ctrl+Z on a fresh map says that there is nothing, also when the map is opened again."""
    for _ in range(2):
        clusters = embedding_map.session.clusters
        assert sorted(clusters.counts().values()) == [0, 20, 20, 20]
        QTest.keyClick(embedding_map.map, Qt.Key.Key_Z, CONTROL)
        assert embedding_map.widget.status.text() == "Nothing to undo."
        assert sorted(clusters.counts().values()) == [0, 20, 20, 20]
        first = embedding_map.work.source
        embedding_map.work.source = make_source(embedding_map.folder / "others", 30)
        embedding_map.open(embedding_map.folder / "others")
        embedding_map.work.source = first
        embedding_map.open(embedding_map.folder / "pictures")
        assert embedding_map.session.clusters is not clusters


def test_columns_that_changed_on_disk_are_read_anew(embedding_map, tmp_path):
    """The same embeddings again: other values, a new column, one that is gone; clusters stay."""
    session, widget = embedding_map.session, embedding_map.widget
    clusters = session.clusters
    clusters.rename(1, "tumour")
    session.selection.replace([0, 3])
    (tmp_path / "more.csv").write_text(
        "image,weight\n" + "".join(f"p{n:03d}.png,{n / 7}\n" for n in range(COUNT))
    )
    widget.export.take_columns(tmp_path / "more.csv")
    wait_until(lambda: "weight" in session.choices())
    session.color_by("folder")
    bars, other = widget.filters.add("size"), widget.filters.add("weight")
    bars.keep((9.5, 19.5))
    assert np.flatnonzero(session.shown).tolist() == list(range(10, 20))
    source = embedding_map.work.source
    columns = {"size": 2 * source.columns["size"], "stage": np.arange(COUNT) % 4}
    embedding_map.work.source = replace(source, columns=columns, names=(*source.names,))
    embedding_map.open(embedding_map.folder / "pictures")
    assert session.clusters is clusters
    assert embedding_map.selected() == [0, 3]
    assert set(session.source.columns) == {"size", "stage", "weight"}
    assert session.color_name == "cluster"  # the folder's is gone
    assert bars.kept == (9.5, 19.5)
    assert np.flatnonzero(session.shown).tolist() == [5, 6, 7, 8, 9]
    assert widget.filters.filters == {"size": bars, "weight": other}
    session.color_by("stage")
    again = session.coloring
    embedding_map.work.source = replace(source, columns={"stage": np.arange(COUNT) % 4})
    embedding_map.open(embedding_map.folder / "pictures")
    assert session.coloring is again
    assert list(widget.filters.filters) == ["weight"]
    assert session.shown.all()


def test_bars_of_whole_numbers_have_no_spikes(embedding_map):
    """Numbers that are equally common have bars of one height."""
    bars = embedding_map.widget.filters.add("size")
    for low, high in ((0, 59), (1, 70), (-3, 5), (7, 7), (0, 48 * 5 - 1)):
        bars.set_values(np.repeat(np.arange(low, high + 1.0), 3))
        counts = bars._all
        assert counts.sum() == 3 * (high - low + 1)
        assert len(set(counts[:-1].tolist())) <= 1
        assert 0 < counts[-1] <= counts[0]
        assert len(counts) <= 48
        assert all(edge % 1 == 0.5 for edge in bars._edges)
        bars.grab()
    bars.set_values(np.array([0, 1, np.nan, 2]))
    assert bars._all.tolist() == [1, 1, 1]
    bars.set_values(np.array([0, 0.5, 2]))
    assert len(bars._all) == 48
    bars.set_values(np.array([0, 1e300]))
    assert bars._all.sum() == 2


def test_a_name_that_is_taken_is_refused_and_said(embedding_map):
    widget = embedding_map.widget
    table = widget.groups.legend.table
    table.item(0, 0).setText("cluster 1")
    assert "There is a group" in widget.error.text()
    assert table.item(0, 0).text() == "cluster 0"


def test_colours_by_a_column_of_words_and_of_numbers(embedding_map):
    session, widget = embedding_map.session, embedding_map.widget
    names = [widget.tools.color_box.itemText(n) for n in range(widget.tools.color_box.count())]
    assert names[:3] == ["cluster", "folder", "size"]
    assert "torn" in names
    session.color_by("folder")
    assert len(np.unique(session.colors, axis=0)) == GROUPS
    session.color_by("size")
    assert len(np.unique(session.colors, axis=0)) > 40
    assert widget.groups.legend.currentWidget() is widget.groups.legend.scale


def test_a_filter_keeps_a_range_and_gives_all_back(embedding_map):
    widget, session = embedding_map.widget, embedding_map.session
    widget.pages.setCurrentWidget(widget.filters)
    bars = widget.filters.add("size")
    embedding_map.settle(0.1)
    start, end = QPoint(0, 20), QPoint(bars.width() // 2, 20)
    QTest.mousePress(bars, LEFT, Qt.KeyboardModifier.NoModifier, start)
    QTest.mouseMove(bars, end)
    bars.mouseMoveEvent(None)
    bars._keep_to(end.x())
    QTest.mouseRelease(bars, LEFT, Qt.KeyboardModifier.NoModifier, end)
    kept = np.flatnonzero(session.shown)
    assert kept[0] == 0
    assert 25 <= kept[-1] <= 34
    widget.filters.remove("size")
    assert session.shown.all()


def test_neighbours_are_added_to_the_selection(embedding_map):
    embedding_map.session.selection.replace([3])
    QTest.keyClick(embedding_map.map, Qt.Key.Key_N)
    assert len(embedding_map.selected()) == 6
    assert {group_of(row) for row in embedding_map.selected()} == {0}


def test_the_points_are_exported_and_clusters_come_back(embedding_map, tmp_path):
    widget, clusters = embedding_map.widget, embedding_map.session.clusters
    clusters.rename(1, "tumour")
    path = tmp_path / "points.csv"
    widget.export.export(path)
    wait_until(lambda: "points.csv" in widget.status.text())
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == COUNT
    assert {"image", "group", "x", "y", "folder", "size", "torn"} <= set(rows[0])
    assert rows[0]["group"] == "tumour"
    clusters.delete([1])
    widget.export.take_groups(path)
    wait_until(lambda: clusters.id_of("tumour") is not None)
    assert clusters.rows_of(clusters.id_of("tumour")).tolist() == embedding_map.rows_of(0)


def test_what_cannot_be_opened_is_said_and_the_map_stays(embedding_map):
    embedding_map.work.refusal = "There is no picture in what was given."
    embedding_map.widget.open(embedding_map.folder / "empty")
    wait_until(lambda: "no picture" in embedding_map.widget.error.text())
    assert embedding_map.session.count == COUNT


def test_the_menu_opens_the_sample_that_it_makes(embedding_map, monkeypatch, tmp_path):
    monkeypatch.setenv("MEDSSL_CACHE", str(tmp_path))
    actions = {action.text(): action for action in embedding_map.widget.opening.menu.actions()}
    actions["Sample"].trigger()
    folder = tmp_path / "samples" / "sample cells"
    wait_until(lambda: embedding_map.work.asked[-1] == folder)
    assert len(list(folder.rglob("*.png"))) == 160
    wait_until(lambda: not embedding_map.widget.making.jobs.is_busy)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MEDSSL_CACHE", str(tmp_path / "file"))
    actions["Sample"].trigger()
    wait_until(lambda: "The sample cannot be made" in embedding_map.widget.error.text())


def test_pictures_that_nobody_finds_are_said(embedding_map):
    source = embedding_map.work.source
    embedding_map.work.source = replace(
        source,
        names=tuple(f"x{name}" for name in source.names),
        pictures=FilePictures([None] * COUNT),
        failures=(("bad.png", "it is damaged"),),
    )
    embedding_map.open(embedding_map.folder / "features.parquet")
    assert embedding_map.session.title(0) == "xp000.png"
    assert "bad.png" in embedding_map.widget.error.text()
    embedding_map.widget.opener.open(0)
    assert "Nobody knows" in embedding_map.widget.error.text()


def test_clusters_that_a_person_made_are_there_again_and_survive_another_source(embedding_map):
    clusters = embedding_map.session.clusters
    clusters.rename(1, "tumour")
    embedding_map.session.selection.replace([0, 3, 6])
    embedding_map.widget.groups.name.setCurrentText("odd")
    QTest.mouseClick(embedding_map.widget.groups.assign_button, LEFT)
    first = embedding_map.work.source
    embedding_map.work.source = make_source(embedding_map.folder / "others", 30)
    embedding_map.open(embedding_map.folder / "others")
    assert embedding_map.session.clusters.id_of("tumour") is None
    embedding_map.work.source = first
    embedding_map.open(embedding_map.folder / "pictures")
    again = embedding_map.session.clusters
    assert again is not clusters
    assert again.rows_of(again.id_of("odd")).tolist() == [0, 3, 6]
    assert len(again.rows_of(again.id_of("tumour"))) == 17
    QTest.keyClick(embedding_map.map, Qt.Key.Key_Z, CONTROL)
    assert again.id_of("odd") is None


def test_a_source_with_more_pictures_keeps_the_clusters_of_those_before(embedding_map):
    embedding_map.session.clusters.rename(1, "tumour")
    embedding_map.widget.keeper.folder.flush()
    more = make_source(embedding_map.folder / "pictures", COUNT + 6)
    embedding_map.work.source = more
    embedding_map.open(embedding_map.folder / "pictures")
    clusters = embedding_map.session.clusters
    assert clusters.rows_of(clusters.id_of("tumour")).tolist() == list(range(0, COUNT, 3))
    assert "6 points are new" in embedding_map.widget.status.text()


def test_groups_that_are_marked_teach_and_what_is_suggested_is_accepted(embedding_map):
    widget, session = embedding_map.widget, embedding_map.session
    for group, name in enumerate(("red", "green", "blue")):
        session.selection.replace(embedding_map.rows_of(group)[:3])
        widget.groups.name.setCurrentText(name)
        QTest.mouseClick(widget.groups.assign_button, LEFT)
    widget.pages.setCurrentWidget(widget.groups)
    embedding_map.settle()
    QTest.mouseClick(widget.groups.learn_button, LEFT)
    assert "Mark two groups" in widget.error.text()
    clusters, table = session.clusters, widget.groups.legend.table
    keys = [clusters.id_of(name) for name in ("red", "green", "blue")]
    for row in range(table.rowCount()):
        is_marked = table.item(row, 0).text() in ("red", "green", "blue")
        for column in range(2):
            table.item(row, column).setSelected(is_marked)
    before = session.places.copy()
    QTest.mouseClick(widget.groups.learn_button, LEFT)
    wait_until(lambda: session.suggested is not None and not widget.making.jobs.is_busy)
    assert session.color_name == "suggested"
    assert not np.array_equal(before, session.places)
    due = ["red", "green", "blue"]
    assert session.suggested.names().tolist() == [due[group_of(row)] for row in range(COUNT)]
    assert session.suggested[session.suggested.id_of("red")].color == clusters[keys[0]].color
    session.selection.replace(np.ones(COUNT, bool))
    QTest.mouseClick(widget.groups.accept_button, LEFT)
    assert clusters.rows_of(keys[1]).tolist() == embedding_map.rows_of(1)
    widget.undo()
    assert clusters.rows_of(keys[1]).tolist() == embedding_map.rows_of(1)[:3]


def test_a_map_that_forms_elsewhere_is_seen_all_the_while(embedding_map):
    embedding_map.session.place(embedding_map.session.places * 20 + 400)
    wait_until(lambda: not embedding_map.map.is_drawing)
    assert len(embedding_map.map.visible_rows()) == COUNT


def test_without_a_map_assigning_says_what_is_due(embedding_map):
    embedding_map.widget.keeper.close()
    embedding_map.session.open(None)
    QTest.keyClick(embedding_map.map, Qt.Key.Key_A)
    assert "There is no map yet" in embedding_map.widget.error.text()
