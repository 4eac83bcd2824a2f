"""Matches of the place of the template under the mouse, live in every image on the canvas."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QObject

from napari_medssl.backend.jobs import ShouldStop, never
from napari_medssl.backend.match_landmarks import ImageMatches, PlacedTemplate
from napari_medssl.widgets._live import LiveRequests
from napari_medssl.widgets.landmarks.engine import Engine
from napari_medssl.widgets.landmarks.image_layers import ImageLayers
from napari_medssl.widgets.landmarks.matching import Matching
from napari_medssl.widgets.landmarks.mosaic import Place
from napari_medssl.widgets.landmarks.point_layer import PointLayers
from napari_medssl.widgets.landmarks.session import LandmarkSession

_LABEL = "under the mouse"


class Hover(QObject):
    """Asks for the matches of a place, the newest one only, and shows them."""

    def __init__(
        self,
        session: LandmarkSession,
        matching: Matching,
        images: ImageLayers,
        points: PointLayers,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._matching = matching
        self._images = images
        self._points = points
        self.requests = LiveRequests(self)
        self.requests.ready.connect(self._show)
        self.is_on = False

    def follow(self, place: Place | None) -> None:
        """Look for a place of the template, `(x, y)`; None ends it."""
        self.is_on = place is not None
        session = self._session
        front = None if session.front is None else session.seen.get(session.front)
        if place is None or front is None:
            self.requests.drop()
            self._points.show_live({})
            return
        seen = [session.seen[key].key for key in self._images.shown[1:] if key in session.seen]
        template = PlacedTemplate(front.key, {_LABEL: place})
        self.requests.submit(_live, self._matching.engine, template, seen)

    def _show(self, found: Sequence[ImageMatches]) -> None:
        if not self.is_on:
            return
        images = {seen.key: image for image, seen in self._session.seen.items()}
        places = {}
        for each in found:
            image = images.get(each.key)
            for match in each.matches:
                if image is not None and match.is_present and match.candidates:
                    best = match.candidates[0]
                    places[image] = (best.x, best.y), best.score
        self._points.show_live(places)

    def close(self) -> None:
        """Take no more requests."""
        self.requests.close()


def _live(
    engine: Engine, template: PlacedTemplate, images: Sequence[str], should_stop: ShouldStop = never
) -> tuple[ImageMatches, ...]:
    return engine.match([template], images, [_LABEL], should_stop)
