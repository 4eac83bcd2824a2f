"""The drawing surface of the embedding map, with a real mouse, wheel and keys."""

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QObject, QPoint, QPointF, QRect, Qt, Signal
from qtpy.QtGui import QColor, QPixmap, QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_medssl.backend.map_view import fitting_view
from napari_medssl.widgets.embedding_map.canvas import MapCanvas
from napari_medssl.widgets.embedding_map.gestures import mode_of
from napari_medssl.widgets.embedding_map.map_rows import SORTED_AT_ONCE

pytestmark = pytest.mark.gui

LEFT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton
KEYS = Qt.KeyboardModifier
# 0 to 3 are the corners of a square, 4 its middle, 5 has no place.
PLACES = [(-10, -10), (10, -10), (10, 10), (-10, 10), (0, 0), (np.nan, 1)]
COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (9, 9, 9)]


def point_of(canvas, row):
    x, y = canvas.view.to_screen(canvas.rows.places_of(row))[0]
    return QPoint(round(x), round(y))


def color_at(canvas, point):
    image = canvas.grab().toImage()
    ratio = image.devicePixelRatio()
    return image.pixelColor(round(point.x() * ratio), round(point.y() * ratio))


def is_color(found, rgb):
    return max(abs(a - b) for a, b in zip(found.getRgb()[:3], rgb, strict=True)) < 40


def settle(canvas, qtbot):
    qtbot.waitUntil(lambda: not canvas.is_drawing, timeout=20_000)


@pytest.fixture
def canvas(qtbot):
    canvas = MapCanvas()
    canvas.resize(500, 400)
    qtbot.addWidget(canvas, before_close_func=MapCanvas.finish)
    with qtbot.waitExposed(canvas):
        canvas.show()
    canvas.set_places(PLACES)
    canvas.set_colors(COLORS)
    settle(canvas, qtbot)
    return canvas


def turn_wheel(canvas, at, notches=1):
    place = QPointF(at)
    event = QWheelEvent(
        place, QPointF(canvas.mapToGlobal(at)), QPoint(), QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton, KEYS.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(canvas, event)


def draw(qtbot, canvas, points, modifier=KEYS.NoModifier, button=LEFT):
    """Press, move along points and release; two moves within 10 ms may be merged into one."""
    qtbot.mousePress(canvas, button, modifier, QPoint(*points[0]))
    for point in points[1:]:
        qtbot.mouseMove(canvas, QPoint(*point))
        qtbot.wait(15)
    qtbot.mouseRelease(canvas, button, modifier, QPoint(*points[-1]))


def test_an_empty_map_says_what_to_do(qtbot):
    canvas = MapCanvas()
    qtbot.addWidget(canvas)
    canvas.resize(300, 200)
    blank = MapCanvas()
    qtbot.addWidget(blank)
    blank.resize(300, 200)
    blank.hint = ""
    assert canvas.grab().toImage() != blank.grab().toImage()
    assert canvas.visible_rows().tolist() == []
    canvas.set_places(np.full((3, 2), np.nan))
    assert canvas.visible_rows().tolist() == []
    canvas.centre_on([1])
    canvas.set_places(np.empty((0, 2)))
    canvas.set_colors(np.empty((0, 3)))
    canvas.finish()


def test_rows_are_drawn_in_their_colours_where_they_are(canvas):
    for row in range(5):
        assert is_color(color_at(canvas, point_of(canvas, row)), COLORS[row])
    assert canvas.visible_rows().tolist() == [0, 1, 2, 3, 4]
    assert point_of(canvas, 2).y() < point_of(canvas, 1).y()  # up is up


def test_one_row_is_in_the_middle(canvas, qtbot):
    canvas.set_places([(7, 7)])
    canvas.set_colors([(255, 0, 0)])
    settle(canvas, qtbot)
    assert is_color(color_at(canvas, QPoint(250, 200)), (255, 0, 0))


def test_hidden_rows_are_neither_drawn_nor_chosen_nor_hovered(canvas, qtbot):
    canvas.set_shown(np.array([True, True, True, True, False, True]))
    settle(canvas, qtbot)
    at = point_of(canvas, 4)
    assert not is_color(color_at(canvas, at), COLORS[4])
    canvas.tool = "rectangle"
    with qtbot.waitSignal(canvas.chosen) as told:
        draw(qtbot, canvas, [(5, 5), (250, 200), (495, 395)])
    assert told.args[0].tolist() == [0, 1, 2, 3]
    with qtbot.waitSignal(canvas.clicked) as told:
        qtbot.mouseClick(canvas, LEFT, pos=at)
    assert told.args[0] == -1
    canvas.set_shown(None)
    settle(canvas, qtbot)
    assert is_color(color_at(canvas, at), COLORS[4])


def test_selected_rows_stand_out_and_the_others_fade(canvas, qtbot):
    canvas.set_selected(np.arange(6) == 2)
    settle(canvas, qtbot)
    assert is_color(color_at(canvas, point_of(canvas, 2)), COLORS[2])
    assert not is_color(color_at(canvas, point_of(canvas, 0)), COLORS[0])
    canvas.set_selected(np.zeros(6, bool))
    settle(canvas, qtbot)
    assert is_color(color_at(canvas, point_of(canvas, 0)), COLORS[0])


def test_the_wheel_zooms_at_the_mouse(canvas, qtbot):
    at = QPoint(123, 321)
    before, scale = canvas.map_place(QPointF(at)), canvas.view.scale
    # Within the map: the middle of a view stays on it.
    with qtbot.waitSignal(canvas.view_changed):
        turn_wheel(canvas, at)
    np.testing.assert_allclose(canvas.map_place(QPointF(at)), before)
    assert canvas.view.scale > scale
    turn_wheel(canvas, at, -1)
    assert canvas.view.scale == pytest.approx(scale)
    for _ in range(60):
        turn_wheel(canvas, at, -3)
    assert canvas.view.scale == pytest.approx(scale / 4)


@pytest.mark.parametrize("how", ["tool", "middle", "space"])
def test_dragging_pans(canvas, qtbot, how):
    canvas.tool = "pan" if how == "tool" else "lasso"
    if how == "space":
        canvas.setFocus()
        qtbot.keyPress(canvas, Qt.Key.Key_Space)
    before = point_of(canvas, 4)
    button = MIDDLE if how == "middle" else LEFT
    told = []
    canvas.chosen.connect(lambda *args: told.append(args))
    canvas.clicked.connect(lambda *args: told.append(args))
    draw(qtbot, canvas, [(200, 200), (230, 190), (260, 170)], button=button)
    assert point_of(canvas, 4) - before == QPoint(60, -30)
    assert not told
    qtbot.keyRelease(canvas, Qt.Key.Key_Space)
    assert canvas.gestures.holds_space is False


def test_what_comes_into_view_is_drawn(canvas, qtbot):
    canvas.zoom(8)
    settle(canvas, qtbot)
    draw(qtbot, canvas, [(480, 20), (300, 150), (20, 380)])
    canvas.centre_on([2])
    settle(canvas, qtbot)
    assert is_color(color_at(canvas, QPoint(250, 200)), COLORS[2])
    assert canvas.visible_rows().tolist() == [2]


def test_keys_pan_zoom_and_fit(canvas, qtbot):
    fitted = canvas.view
    qtbot.keyClick(canvas, Qt.Key.Key_Plus)
    assert canvas.view.scale > fitted.scale
    qtbot.keyClick(canvas, Qt.Key.Key_Right)
    assert canvas.view.x > fitted.x
    qtbot.keyClick(canvas, Qt.Key.Key_Up)
    assert canvas.view.y > fitted.y
    qtbot.keyClick(canvas, Qt.Key.Key_Left)
    qtbot.keyClick(canvas, Qt.Key.Key_Down)
    qtbot.keyClick(canvas, Qt.Key.Key_Minus)
    np.testing.assert_allclose(
        (canvas.view.x, canvas.view.scale), (fitted.x, fitted.scale), atol=1e-9
    )
    qtbot.keyClick(canvas, Qt.Key.Key_Plus)
    qtbot.keyClick(canvas, Qt.Key.Key_0)
    assert canvas.view == fitted
    qtbot.keyClick(canvas, Qt.Key.Key_Plus)
    qtbot.mouseDClick(canvas, LEFT, pos=QPoint(20, 20))
    assert canvas.view == fitted


def test_a_fitted_map_stays_fitted_as_the_window_grows(canvas, qtbot):
    canvas.resize(700, 300)
    qtbot.waitUntil(lambda: canvas.view.width == 700)
    assert canvas.view == fitting_view((-10, -10, 10, 10), 700, 300)
    canvas.zoom(3)
    place = (canvas.view.x, canvas.view.y, canvas.view.scale)
    canvas.resize(400, 400)
    qtbot.waitUntil(lambda: canvas.view.width == 400)
    assert (canvas.view.x, canvas.view.y, canvas.view.scale) == place


def test_a_lasso_chooses_what_it_goes_around(canvas, qtbot):
    canvas.tool = "lasso"
    x, y = point_of(canvas, 4).x(), point_of(canvas, 4).y()
    around = [(x - 40, y - 40), (x + 40, y - 40), (x + 40, y + 40), (x - 40, y + 40)]
    with qtbot.waitSignal(canvas.chosen) as told:
        draw(qtbot, canvas, around)
    rows, mode = told.args
    assert rows.tolist() == [4]
    assert rows.dtype == np.int64
    assert mode == "replace"
    assert canvas.gestures.outline() == []


@pytest.mark.parametrize(
    ("modifiers", "mode"),
    [
        (KEYS.NoModifier, "replace"),
        (KEYS.ShiftModifier, "union"),
        (KEYS.ControlModifier, "difference"),
        (KEYS.AltModifier, "intersection"),
        (KEYS.ControlModifier | KEYS.ShiftModifier, "intersection"),
    ],
)
def test_modifiers_say_how_selections_are_combined(canvas, qtbot, modifiers, mode):
    assert mode_of(modifiers) == mode
    canvas.tool = "rectangle"
    left = point_of(canvas, 0).x()
    with qtbot.waitSignal(canvas.chosen) as told:
        draw(qtbot, canvas, [(left + 20, 395), (left - 5, 200), (left - 20, 5)], modifiers)
    assert told.args[0].tolist() == [0, 3]
    assert told.args[1] == mode


def test_esc_forgets_a_half_drawn_lasso(canvas, qtbot):
    canvas.tool = "lasso"
    told = []
    canvas.chosen.connect(lambda *args: told.append(args))
    qtbot.mousePress(canvas, LEFT, pos=QPoint(10, 10))
    for point in [(400, 10), (400, 300)]:
        qtbot.mouseMove(canvas, QPoint(*point))
        qtbot.wait(15)
    assert len(canvas.gestures.outline()) == 3
    drawn = canvas.grab().toImage()
    qtbot.keyClick(canvas, Qt.Key.Key_Escape)
    assert canvas.gestures.outline() == []
    assert canvas.grab().toImage() != drawn
    qtbot.mouseRelease(canvas, LEFT, pos=QPoint(400, 300))
    assert not told


def test_a_click_tells_the_row_and_the_modifiers(canvas, qtbot):
    for tool in ("pan", "lasso", "rectangle"):
        canvas.tool = tool
        with qtbot.waitSignal(canvas.clicked) as told:
            qtbot.mouseClick(canvas, LEFT, KEYS.ShiftModifier, point_of(canvas, 3) + QPoint(9, 0))
        assert told.args[0] == 3
        assert told.args[1] & KEYS.ShiftModifier
        with qtbot.waitSignal(canvas.clicked) as told:
            qtbot.mouseClick(canvas, LEFT, pos=point_of(canvas, 3) + QPoint(30, 0))
        assert told.args[0] == -1


def test_the_row_at_the_mouse_is_told_then_that_the_mouse_rests(canvas, qtbot):
    at = point_of(canvas, 1)
    with qtbot.waitSignals([canvas.hovered, canvas.dwelled], order="strict") as told:
        qtbot.mouseMove(canvas, at + QPoint(5, 5))
    assert [signal.args[0] for signal in told.all_signals_and_args] == [1, 1]
    with qtbot.waitSignal(canvas.place_hovered) as place:
        qtbot.mouseMove(canvas, at + QPoint(4, 4))
    np.testing.assert_allclose(place.args, canvas.map_place(QPointF(at + QPoint(4, 4))))
    with qtbot.waitSignal(canvas.hovered) as told:
        qtbot.mouseMove(canvas, at + QPoint(-60, -60))
    assert told.args == [-1]
    with qtbot.waitSignal(canvas.hovered):
        qtbot.mouseMove(canvas, at)
    with qtbot.waitSignal(canvas.hovered) as told:
        QApplication.sendEvent(canvas, QEvent(QEvent.Type.Leave))
    assert told.args == [-1]


def test_a_ring_and_links_are_drawn_above(canvas):
    plain = canvas.grab().toImage()
    canvas.set_links(4, [0, 2, 5])
    linked = canvas.grab().toImage()
    middle = (point_of(canvas, 4) + point_of(canvas, 2)) / 2
    around = QRect(middle - QPoint(3, 3), middle + QPoint(3, 3))
    assert linked.copy(around) != plain.copy(around)
    canvas.set_links(-1)
    assert canvas.grab().toImage() == plain
    with pytest.raises(ValueError, match="there are 6"):
        canvas.set_links(4, [6])


class Pictures(QObject):
    """Green pictures, once there are any."""

    ready = Signal(int)

    def __init__(self):
        super().__init__()
        self.asked = []
        self.are_made = False

    def get(self, row):
        self.asked.append(row)
        if not self.are_made:
            return None
        picture = QPixmap(50, 50)
        picture.fill(QColor(0, 200, 0))
        return picture


def test_pictures_take_the_place_of_dots_when_close(canvas, qtbot):
    pictures = Pictures()
    canvas.set_thumbnails(pictures)
    settle(canvas, qtbot)
    canvas.grab()
    assert set(pictures.asked) == {0, 1, 2, 3, 4}
    at = point_of(canvas, 4) + QPoint(15, 15)
    assert not is_color(color_at(canvas, at), (0, 200, 0))
    pictures.are_made = True
    pictures.ready.emit(4)
    assert is_color(color_at(canvas, at), (0, 200, 0))
    canvas.set_thumbnails(None)
    settle(canvas, qtbot)
    assert not is_color(color_at(canvas, at), (0, 200, 0))


def test_places_that_move_away_stay_in_sight(canvas, qtbot):
    seen = canvas.visible_rows().tolist()
    assert seen == np.flatnonzero(np.isfinite(PLACES).all(axis=1)).tolist()
    canvas.move_places(np.array(PLACES) * 30 + 900)
    settle(canvas, qtbot)
    assert canvas.visible_rows().tolist() == seen


def test_places_move_while_the_view_stays_that_a_person_chose(canvas, qtbot):
    canvas.zoom(1.0)
    view = canvas.view
    moved = np.array(PLACES) * 0.5
    canvas.move_places(moved)
    settle(canvas, qtbot)
    assert canvas.view == view
    x, y = view.to_screen((5, 5))
    assert is_color(color_at(canvas, QPoint(round(x), round(y))), COLORS[2])


def test_colours_and_masks_must_be_of_all_rows(canvas):
    with pytest.raises(ValueError, match=r"colors have shape \(5, 3\), must be \(6, 3\)"):
        canvas.set_colors(COLORS[:5])
    with pytest.raises(ValueError, match=r"shown have shape \(2,\), must be \(6,\)"):
        canvas.set_shown([True, False])
    with pytest.raises(ValueError, match=r"places have shape \(5, 2\), must be \(6, 2\)"):
        canvas.move_places(PLACES[:5])
    with pytest.raises(ValueError, match="tool is 'brush', must be one of pan, lasso, rectangle"):
        canvas.tool = "brush"


def test_colours_given_are_copied(canvas, qtbot):
    colors = np.array(COLORS, np.uint8)
    canvas.set_colors(colors)
    colors[:] = 0
    canvas.zoom(1.1)
    settle(canvas, qtbot)
    assert is_color(color_at(canvas, point_of(canvas, 2)), COLORS[2])


def test_many_rows_are_a_density_from_afar_and_dots_from_near(canvas, qtbot):
    rng = np.random.default_rng(0)
    xy = rng.normal(size=(SORTED_AT_ONCE * 10, 2)).astype(np.float32)
    canvas.set_places(xy)
    canvas.set_colors(np.full((len(xy), 3), (250, 60, 60), np.uint8))
    settle(canvas, qtbot)
    assert canvas.frame.kind == "density"
    middle = canvas.view.to_screen((0, 0)).tolist()
    assert is_color(color_at(canvas, QPoint(*map(round, middle))), (250, 60, 60))
    canvas.centre_on([7])
    canvas.zoom(10)
    settle(canvas, qtbot)
    assert canvas.frame.kind == "dots"
    assert is_color(color_at(canvas, QPoint(250, 200)), (250, 60, 60))
    assert 7 in canvas.visible_rows()


def test_while_a_frame_is_made_the_last_one_is_shown_moved(canvas, qtbot):
    """The thread is held up: the dot is seen at its new place nevertheless."""
    canvas.rows.finish()
    canvas._frames.finish()
    canvas.drag(30, -20)
    assert is_color(color_at(canvas, point_of(canvas, 4)), COLORS[4])
    canvas.zoom(1.5)
    assert is_color(color_at(canvas, point_of(canvas, 4)), COLORS[4])


def test_a_dark_and_a_light_theme_have_their_grounds(canvas, qtbot):
    canvas.setStyleSheet("background-color: #262930; color: #f0f1f2;")
    qtbot.waitUntil(lambda: color_at(canvas, QPoint(3, 3)).lightness() < 60)
    canvas.setStyleSheet("background-color: #efebe9; color: #3b3a39;")
    qtbot.waitUntil(lambda: color_at(canvas, QPoint(3, 3)).lightness() > 200)


def test_a_fine_screen_is_drawn_finely(canvas, qtbot, monkeypatch):
    monkeypatch.setattr(MapCanvas, "devicePixelRatioF", lambda _self: 2.0)
    canvas.zoom(1.2)
    settle(canvas, qtbot)
    image = canvas.frame.base.image
    assert image.devicePixelRatio() == 2
    assert image.width() == 2 * (500 + 2 * 64)
    assert is_color(color_at(canvas, point_of(canvas, 4)), COLORS[4])


def test_it_can_be_read_out(canvas):
    assert canvas.accessibleName() == "Embedding map"
    assert canvas.focusPolicy() == Qt.FocusPolicy.StrongFocus
    assert canvas.cursor().shape() == Qt.CursorShape.OpenHandCursor
    canvas.tool = "lasso"
    assert canvas.cursor().shape() == Qt.CursorShape.CrossCursor
