"""Which slide is in front, where the file of an indexed one lies, and what it is called.

A slide is a layer that the widget "Slides" or napari's reader made. The widget "Slides", where it
is open beside, knows where files lie now and whether names are to be hidden.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from qtpy.QtCore import QObject, QTimer, Signal

from napari_medssl.widgets._layer_names import hide_name, show_name
from napari_medssl.widgets._shown_slide import ShownSlide as ShownSlide
from napari_medssl.widgets._shown_slide import shown_slide
from napari_medssl.widgets.slides.widget import SlidesWidget


class KnownPlace(Protocol):
    """What is known of a slide; `path` may be a URL."""

    @property
    def path(self) -> str:
        """Where it lay when it was indexed."""
        ...


class KnownSlides(Protocol):
    """Knows slides that need not be in the window, by their fingerprint."""

    @property
    def records(self) -> Mapping[str, KnownPlace]:
        """What is known of each."""
        ...

    def mpp_of(self, slide: str) -> float | None:
        """Return microns per level-0 pixel, None where nobody knows."""
        ...


class SlidePlaces(QObject):
    """Looks at the layers of a viewer and at the widget "Slides" beside.

    Signals
    -------
    front_changed
        Another slide is in front, or none.
    masked_changed
        Names are hidden from now on, or shown.
    """

    front_changed = Signal()
    masked_changed = Signal()

    def __init__(self, viewer: Any, session: KnownSlides, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._is_masked = False
        self._slides: SlidesWidget | None = None
        self._front: ShownSlide | None = None
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(0)
        self._later.timeout.connect(self._look)
        events = viewer.layers.events
        self._events = (events.inserted, events.removed, events.reordered)
        for event in self._events:
            event.connect(self._on_layers)
        viewer.layers.selection.events.active.connect(self._on_layers)
        self._look()

    def close(self) -> None:
        """Listen to the viewer no more."""
        self._later.stop()
        for event in self._events:
            event.disconnect(self._on_layers)
        self._viewer.layers.selection.events.active.disconnect(self._on_layers)
        self._follow(None)

    # -- in the viewer ---------------------------------------------------------------------------

    def shown(self) -> Iterator[ShownSlide]:
        """Return the slides of the viewer, the uppermost first."""
        for layer in reversed(self._viewer.layers):
            slide = shown_slide(layer)
            if slide is not None:
                yield slide

    @property
    def front(self) -> ShownSlide | None:
        """The slide of the selected layer, else that before, else the uppermost to be seen."""
        visible = {id(one.layer): one for one in self.shown() if one.layer.visible}
        active = id(self._viewer.layers.selection.active)
        former = id(self._front.layer) if self._front is not None else 0
        first = next(iter(visible.values()), None)
        return visible.get(active) or visible.get(former) or first

    def cover_at(self, world: Any) -> str:
        """Return the name of the plain image that hides the slides at a place, "" for none."""
        for layer in reversed(self._viewer.layers):
            if not layer.visible:
                continue
            if shown_slide(layer) is not None:
                return ""
            is_plain = layer._type_string == "image" and "medssl" not in layer.metadata
            if is_plain and layer.opacity == 1.0 and _holds(layer, world):
                return str(layer.name)
        return ""

    def _on_layers(self, _event: Any = None) -> None:
        """Look a moment later: who hears of it may change the layers."""
        self._later.start()

    def _look(self) -> None:
        self._follow(self._find_slides())
        former, self._front = self._front, self.front
        self._name_layers()
        now = self._front
        if (former and former.layer) is not (now and now.layer):
            self.front_changed.emit()

    # -- the widget "Slides" ---------------------------------------------------------------------

    def slides(self) -> SlidesWidget | None:
        """Return the widget "Slides" of this window, None where it is not open."""
        self._follow(self._find_slides())
        return self._slides

    def _find_slides(self) -> SlidesWidget | None:
        for widget in self._viewer.window.dock_widgets.values():
            if isinstance(widget, SlidesWidget) and not widget.session.library.is_closed:
                return widget
        return None

    def _follow(self, slides: SlidesWidget | None) -> None:
        if slides is self._slides:
            return
        if self._slides is not None:
            self._slides.session.masked_changed.disconnect(self._on_masked)
        self._slides = slides
        if slides is not None:
            slides.session.masked_changed.connect(self._on_masked)

    def _on_masked(self) -> None:
        self._name_layers()
        self.masked_changed.emit()

    # -- names and files -------------------------------------------------------------------------

    @property
    def is_masked(self) -> bool:
        """True if names are hidden, here or in the widget "Slides"."""
        return self._is_masked or (self._slides is not None and self._slides.session.is_masked)

    def mask(self, is_masked: bool) -> None:
        """Show short names that tell nothing instead of file names, or file names again."""
        self._is_masked = is_masked
        self._on_masked()
        self._viewer.status = "Ready"  # it told the former name until the mouse moves

    def _name_layers(self) -> None:
        """Hide the names of slides in napari's list of layers and status bar, or show them."""
        for one in self.shown():
            alias = self._alias(one.fingerprint)
            if self.is_masked:
                hide_name(one.layer, alias)
            else:
                show_name(one.layer, alias, self.title(one.fingerprint))

    def title(self, fingerprint: str) -> str:
        """Return the name to show of a slide."""
        if self.is_masked:
            return self._alias(fingerprint)
        return file_name(self._place_of(fingerprint)) or fingerprint[:8]

    def masked_text(self, text: str) -> str:
        """Return a message with the names of slides as they are to be shown."""
        if not self.is_masked or not text:
            return text
        names: dict[str, str] = {}
        for fingerprint in {*self._session.records, *(one.fingerprint for one in self.shown())}:
            place, alias = self._place_of(fingerprint), self._alias(fingerprint)
            folder = place[: -len(file_name(place))].rstrip("/\\")
            names |= {place: alias, file_name(place): alias, folder: "..."}
        # The longest first: "a.svs" is a part of "ba.svs", and the folder one of the path.
        for name in sorted(filter(None, names), key=len, reverse=True):
            text = text.replace(name, names[name])
        return text

    def candidates(self, fingerprint: str) -> tuple[str, ...]:
        """Return the places where the file of a slide may lie, the likeliest first."""
        places = self.seen().get(fingerprint, [])
        record = self._session.records.get(fingerprint)
        if record is not None:
            places.append(record.path)
        return tuple(dict.fromkeys(places))

    def seen(self) -> dict[str, list[str]]:
        """Return the places of all slides that are shown, or linked in the widget "Slides"."""
        places: dict[str, list[str]] = {}
        for one in self.shown():
            places.setdefault(one.fingerprint, []).append(one.source)
        slides = self.slides()
        if slides is not None:
            for entry in slides.session.entries().values():
                if entry.fingerprint:
                    known = places.setdefault(entry.fingerprint, [])
                    known += [entry.source, *([entry.converted] if entry.converted else [])]
        return places

    def mpp_of(self, fingerprint: str) -> float | None:
        """Return microns per level-0 pixel of a slide, None where nobody knows."""
        known = self._session.mpp_of(fingerprint)
        if known:
            return known
        for shown in self.shown():
            if shown.fingerprint == fingerprint and shown.mpp is not None:
                return math.sqrt(shown.mpp[0] * shown.mpp[1])
        return None

    def note_indexed(self, slide: ShownSlide, library: Path) -> None:
        """Have the widget "Slides" say that a slide is indexed, if it is open and lists it."""
        slides = self.slides()
        if slides is not None:
            slides.session.library.note_made(slide.source, slide.fingerprint, index=str(library))

    def _place_of(self, fingerprint: str) -> str:
        record = self._session.records.get(fingerprint)
        if record is not None:
            return record.path
        return next((one.source for one in self.shown() if one.fingerprint == fingerprint), "")

    def _alias(self, fingerprint: str) -> str:
        """Return the short name: that of the widget "Slides", else one made of the content."""
        if self._slides is not None:
            for entry in self._slides.session.entries().values():
                if entry.fingerprint == fingerprint:
                    return entry.alias
        return f"S-{fingerprint[:6].upper()}"


def _holds(layer: Any, world: Any) -> bool:
    """Say whether a place of the viewer lies on an image layer."""
    low, high = layer.extent.data
    place = layer.world_to_data(world)
    return all(
        start - 0.5 <= at <= end + 0.5
        for start, at, end in zip(low[-2:], place[-2:], high[-2:], strict=True)
    )


def file_name(place: str) -> str:
    """Return the last part of a path or URL."""
    path = PurePosixPath(place.replace("\\", "/").rstrip("/"))
    return path.name or place
