"""Paint the map: a frame where the view is now, and above it what a person points at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QLineF, QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPixmap, QPolygonF, QRegion

from napari_medssl.backend.map_view import MapView
from napari_medssl.widgets.embedding_map.frames import Frame, Layer
from napari_medssl.widgets.embedding_map.look import Look

_NEARLY = 0.02  # of a pixel
_LINK_OPACITY = 0.55
_CORNER = 3.0


class PictureSource(Protocol):
    """What has pictures of rows."""

    def get(self, row: int) -> QPixmap | None:
        """Return the picture of a row, None while it is made or if there is none."""


PICKED = QColor("#ffb224")


def paint_frame(
    painter: QPainter, frame: Frame, behind: Frame | None, view: MapView, look: Look
) -> None:
    """Paint a frame as it lies in the view now, scaled and shifted if it was made for another.

    What it does not reach is painted from the frame `behind`, which covers the whole map.
    """
    if behind is not None and frame is not behind and frame.kind == "dots":
        whole = QRectF(0, 0, view.width, view.height)
        covered = _target(frame.base, view)
        if not covered.contains(whole):
            painter.save()
            region = QRegion(whole.toAlignedRect()) - QRegion(covered.toAlignedRect())
            painter.setClipRegion(region)
            _paint_layers(painter, behind, view, look)
            painter.restore()
    _paint_layers(painter, frame, view, look)


def paint_pictures(
    painter: QPainter,
    frame: Frame,
    source: PictureSource,
    view: MapView,
    look: Look,
    marked: int = -1,
) -> None:
    """Paint pictures of rows in place of their dots, framed in the colours of these.

    Selected rows have a frame of ink, the row `marked` a broad one.
    """
    scene, size = frame.scene, frame.picture_size
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    centres = view.to_screen(scene.grid.places[frame.picture_rows]).tolist()
    for row, (x, y) in zip(frame.picture_rows.tolist(), centres, strict=True):
        picture = source.get(row)
        if picture is None or picture.isNull():
            continue
        is_selected = scene.selected is not None and bool(scene.selected[row])
        is_faded = scene.selected is not None and not is_selected
        factor = (size - 4) / max(picture.width(), picture.height())
        area = QRectF(0, 0, picture.width() * factor, picture.height() * factor)
        area.moveCenter(QPointF(x, y))
        painter.setOpacity(0.35 if is_faded else 1.0)
        painter.drawPixmap(area, picture, QRectF(picture.rect()))
        stands_out = is_selected or row == marked
        color = look.ink_color if stands_out else QColor(*scene.colors[row].tolist())
        painter.setPen(QPen(color, 4.0 if row == marked else 2.0 + is_selected))
        painter.drawRoundedRect(area, _CORNER, _CORNER)
    painter.setOpacity(1.0)


def paint_links(
    painter: QPainter, start: NDArray[np.float64], ends: NDArray[np.float64], look: Look
) -> None:
    """Paint thin lines from a point of the widget, shape (2,), to others, shape (n, 2)."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    color = look.ink_color
    color.setAlphaF(_LINK_OPACITY)
    painter.setPen(QPen(color, 1.0))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    x, y = start.tolist()
    places = ends[np.isfinite(ends).all(axis=1)].tolist()
    painter.drawLines([QLineF(x, y, *place) for place in places])
    for place in places:
        painter.drawEllipse(QPointF(*place), 4.0, 4.0)


def paint_ring(painter: QPainter, x: float, y: float, radius: float, look: Look) -> None:
    """Paint a ring around a point of the widget, which stands out from points of any colour."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(*look.ground), 4.0))
    painter.drawEllipse(QPointF(x, y), radius + 3.5, radius + 3.5)
    painter.setPen(QPen(look.ink_color, 2.0))
    painter.drawEllipse(QPointF(x, y), radius + 3.5, radius + 3.5)


def paint_mark(painter: QPainter, x: float, y: float, radius: float) -> None:
    """Paint a ring around a point that is picked, in the colour that picked pictures have."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for color, width in ((QColor(0, 0, 0, 160), 4.5), (PICKED, 2.5)):
        painter.setPen(QPen(color, width))
        painter.drawEllipse(QPointF(x, y), radius + 5.0, radius + 5.0)


def paint_outline(painter: QPainter, corners: Sequence[Sequence[float]], look: Look) -> None:
    """Paint a half-drawn lasso or rectangle through points of the widget."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    outline = QPolygonF([QPointF(x, y) for x, y in corners])
    inside = look.ink_color
    inside.setAlphaF(0.10)
    painter.setPen(QPen(look.ink_color, 1.5, Qt.PenStyle.DashLine))
    painter.setBrush(inside)
    painter.drawPolygon(outline, Qt.FillRule.OddEvenFill)


def paint_hint(painter: QPainter, area: QRectF, text: str, look: Look) -> None:
    """Write what to do on an empty map."""
    painter.setOpacity(0.65)
    painter.setPen(look.ink_color)
    flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
    painter.drawText(area.adjusted(24, 24, -24, -24), flags, text)
    painter.setOpacity(1.0)


def _paint_layers(painter: QPainter, frame: Frame, view: MapView, look: Look) -> None:
    if frame.top is None:
        _paint_layer(painter, frame.base, view)
        return
    painter.setOpacity(look.faded)
    _paint_layer(painter, frame.base, view)
    painter.setOpacity(1.0)
    _paint_layer(painter, frame.top, view)


def _paint_layer(painter: QPainter, layer: Layer, view: MapView) -> None:
    target = _target(layer, view)
    if abs(layer.scale / view.scale - 1) * target.width() < _NEARLY:
        painter.drawImage(_whole(target.topLeft(), layer.image.devicePixelRatio()), layer.image)
        return
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    seen = target.intersected(QRectF(-2, -2, view.width + 4, view.height + 4))
    if seen.isEmpty():
        return
    factor = layer.image.width() / target.width()
    source = QRectF(
        (seen.x() - target.x()) * factor,
        (seen.y() - target.y()) * factor,
        seen.width() * factor,
        seen.height() * factor,
    )
    painter.drawImage(seen, layer.image, source)


def _whole(corner: QPointF, ratio: float) -> QPointF:
    """Return a point on the corner of a pixel of the screen, where a picture stays sharp."""
    return QPointF(round(corner.x() * ratio) / ratio, round(corner.y() * ratio) / ratio)


def _target(layer: Layer, view: MapView) -> QRectF:
    """Return where a layer lies on the widget."""
    x0, y0, x1, y1 = layer.bounds
    (left, top), (right, bottom) = view.to_screen([(x0, y1), (x1, y0)]).tolist()
    return QRectF(left, top, right - left, bottom - top)
