"""Show the slide that was asked for last: one layer in microns, opened off the GUI thread."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Qt, QTimer, Signal

from napari_medssl.io.slides.protocol import Slide, SlideReadError
from napari_medssl.io.slides.tile_cache import shared_cache
from napari_medssl.state.slide_entry import CHANGED, SlideEntry, glance_at
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._layer_names import hide_name, show_name
from napari_medssl.widgets._lifetime import when_gone
from napari_medssl.widgets._live import LiveRequests
from napari_medssl.widgets.slides.reading import OpenedSlide, open_for_view
from napari_medssl.widgets.slides.session import SlidesSession

_GLANCE_EVERY_MS = 3000
_log = logging.getLogger(__name__)


class _FailureMessenger(QObject):
    """Tells of tiles that cannot be read, out of the threads that read them. Has no parent."""

    failed = Signal(str, str)

    def tell(self, slide: Slide, error: SlideReadError) -> None:
        """Called in a thread of the tile cache."""
        self.failed.emit(slide.source, str(error))


class SlideDisplay(QObject):
    """Put slides in front, one at a time; look after the file while it is shown.

    Signals
    -------
    shown
        A slide is in front.
    failed
        Why it could not be shown, or what happened to the file of the one in front.
    recovered
        That file can be read again.
    """

    shown = Signal()
    failed = Signal(str)
    recovered = Signal()

    def __init__(self, viewer: Any, session: SlidesSession, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self._slide: Slide | None = None
        self._layer: Any = None
        self._is_opening = False
        self._is_placing = False
        self._reader = LiveRequests(self)
        self._reader.ready.connect(self._show)
        self._reader.failed.connect(self._on_failed)
        self._background = Background("medssl-slide-files", self)
        self._messenger = _FailureMessenger()
        self._messenger.failed.connect(self._on_bad_tile, Qt.ConnectionType.QueuedConnection)
        shared_cache().listen(self._messenger.tell)
        when_gone(self, shared_cache().unlisten, self._messenger.tell)
        self._glances = QTimer(self)
        self._glances.setInterval(_GLANCE_EVERY_MS)
        self._glances.timeout.connect(self._glance)
        viewer.layers.events.removed.connect(self._on_layer_removed)
        viewer.layers.events.inserted.connect(self._on_layer_inserted)
        session.library_changed.connect(self._on_library)
        session.slides_changed.connect(self._on_slides)
        session.masked_changed.connect(self._name_layer)

    @property
    def is_opening(self) -> bool:
        """True while a slide was asked for and is not shown yet."""
        return self._is_opening

    @property
    def slide(self) -> Slide | None:
        """The slide in front."""
        return self._slide

    def open(self, key: int) -> None:
        """Open a slide in a thread, then show it; a request before this one is dropped."""
        self._is_opening = True
        self._reader.submit(open_for_view, key, self._session.entry(key))

    def close(self) -> None:
        """Stop the threads and close the slide."""
        self._glances.stop()
        self._reader.close()
        self._background.close()
        shared_cache().unlisten(self._messenger.tell)
        self._viewer.layers.events.removed.disconnect(self._on_layer_removed)
        self._viewer.layers.events.inserted.disconnect(self._on_layer_inserted)
        self._let_go()

    def _show(self, opened: OpenedSlide) -> None:
        self._is_opening = False
        if not self._session.has(opened.key):
            opened.slide.close()
            return
        self._take_off()
        self._slide = opened.layer[0][0].slide
        self._put_layer(opened)
        if opened.is_store:
            fingerprint = self._session.entry(opened.key).fingerprint
        else:
            fingerprint = self._seen(opened.key, opened.slide)
        self._in_front(opened.key, fingerprint)

    def _seen(self, key: int, slide: Slide) -> str:
        """Note what opening told of a slide; return the fingerprint of what is shown."""
        entry = self._session.entry(key)
        if not entry.fingerprint:
            entry = replace(
                entry,
                fingerprint=slide.fingerprint,
                mpp=slide.mpp,
                width=slide.dimensions[0],
                height=slide.dimensions[1],
            )
        elif entry.fingerprint != slide.fingerprint:
            entry = replace(entry, problem=CHANGED, is_readable=True)
        self._session.library.store.note({key: entry})
        return slide.fingerprint

    def _in_front(self, key: int, fingerprint: str) -> None:
        """Tell everybody of the slide whose layer is there."""
        self._glances.start()
        self._session.show(key, self._layer, fingerprint)
        self.shown.emit()
        if fingerprint != self._session.entry(key).fingerprint:
            self.failed.emit(
                f"{self._session.title(key)} is another content than when it was added, so its "
                "former regions are not shown. If it was replaced on purpose, right-click it in "
                "the list: Take as it is now."
            )

    def _put_layer(self, opened: OpenedSlide) -> None:
        levels, options, _ = opened.layer
        options = dict(options, name=self._session.title(opened.key))
        self._is_placing = True
        layer = self._viewer.add_image(levels, **options)
        self._is_placing = False
        self._viewer.layers.move(self._viewer.layers.index(layer), 0)
        self._viewer.canvas.overlays.scale_bar.visible = True
        self._viewer.reset_view()
        self._viewer.layers.selection.active = layer
        self._layer = layer

    def _take_off(self) -> None:
        layer, self._layer = self._layer, None
        self._session.leave()
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
        self._let_go()

    def _let_go(self) -> None:
        """Forget the slide. It closes when the last read that is under way lets go of it."""
        slide, self._slide = self._slide, None
        self._glances.stop()
        if slide is not None:
            shared_cache().forget(slide)

    def _on_failed(self, text: str) -> None:
        self._is_opening = False
        self.failed.emit(text)

    def _on_layer_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._layer = None
            self._session.leave()
            self._let_go()

    def _on_layer_inserted(self, event: Any) -> None:
        """Take over a slide that was opened by napari's menu or dropped on the canvas."""
        if not self._is_placing and self._layer is None and _slide_source(event.value):
            self._take_over(event.value)

    def take_over(self) -> None:
        """Take over the uppermost slide that is in the viewer already, if there is one."""
        slides = [layer for layer in self._viewer.layers if _slide_source(layer)]
        if slides and self._layer is None:
            self._take_over(slides[-1])

    def _take_over(self, layer: Any) -> None:
        library, source = self._session.library, _slide_source(layer)
        library.add([source])
        key = library.sources()[source]
        self._layer, self._slide = layer, layer.data[0].slide
        self._viewer.canvas.overlays.scale_bar.visible = True
        self._in_front(key, self._seen(key, layer.data[0].slide))
        self._name_layer()

    def _on_library(self) -> None:
        self._reader.drop()
        self._is_opening = False
        self._take_off()

    def _on_slides(self) -> None:
        if self._layer is not None and not self._session.has(self._session.current):
            self._take_off()

    def _name_layer(self) -> None:
        key, layer = self._session.current, self._session.layer
        if key is not None and layer is not None:
            title = self._session.title(key)
            if self._session.is_masked:
                hide_name(layer, title)
            else:
                show_name(layer, self._session.entry(key).alias, title)
                layer.name = title
            self._viewer.status = "Ready"  # it told the former name until the mouse moves

    # -- the file, while it is shown -------------------------------------------------------------

    def _on_bad_tile(self, source: str, text: str) -> None:
        if self._slide is not None and self._slide.source == source:
            self.failed.emit(text + " Such places are shown grey.")

    def _glance(self) -> None:
        key = self._session.current
        if key is None or not self._session.has(key):
            return
        entry = self._session.entry(key)
        work = partial(glance_at, entry)
        take = partial(self._take_glance, entry)
        self._background.submit("glance", work, take, self._on_no_glance)

    def _on_no_glance(self, error: BaseException) -> None:
        _log.warning("the file of the slide could not be looked at: %s", error)

    def _take_glance(self, former: SlideEntry, entry: SlideEntry) -> None:
        key = self._session.current
        if key is None or not self._session.has(key) or entry == former:
            return
        if entry.source != self._session.entry(key).source:
            return
        self._session.library.note_seen({key: (former, entry)})
        if not entry.is_readable:
            self.failed.emit(
                f"{self._session.title(key)}: {entry.problem.rstrip('.')}. "
                "What was read of it stays on the screen."
            )
        elif entry.problem == CHANGED:
            self.failed.emit(
                f"{self._session.title(key)}: the file was replaced while it is shown. "
                "Open it again to see what it holds now."
            )
        elif not former.is_readable:
            self._read_again()

    def _read_again(self) -> None:
        """Read anew what could not be read: the file is there again."""
        self.recovered.emit()
        if self._slide is not None and self._layer is not None:
            shared_cache().forget(self._slide)
            self._layer.refresh()


def _slide_source(layer: Any) -> str:
    """Return the path or URL of the slide that a layer shows, "" if it shows none."""
    about = layer.metadata.get("medssl", {})
    is_slide = isinstance(about, dict) and about.get("kind") == "slide"
    return str(about.get("source") or "") if is_slide else ""
