"""Small pictures for the rows of a list, made in a thread."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image
from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QImage, QPixmap

from napari_medssl._errors import UserError
from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.widgets._background import Background

WIDTH, HEIGHT = 84, 60
MOST_WAITING = 60
MOST_KEPT = 3000
MakePicture = Callable[[str, DiskCache | None], Callable[[], np.ndarray]]


def kept_picture(cache: DiskCache | None, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the picture that the cache holds under `key`, else make it and keep it.

    Pictures are uint8 RGB, shape (Y, X, 3).
    """
    if cache is None:
        return make()
    kept = cache.get(key)
    if kept is not None:
        with Image.open(io.BytesIO(kept)) as picture:
            return np.array(picture.convert("RGB"))
    pixels = make()
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    cache.put(key, stream.getvalue())
    return pixels


class Thumbnails(QObject):
    """Pictures by key, made when they are first asked for, those asked for last first.

    Parameters
    ----------
    make
        Returns what makes the picture of a key, called in the thread; `UserError` for none. It
        gets the cache too, None while there is none.
    parent
        Qt parent.

    Signals
    -------
    ready
        Emitted with the key of a picture that is there now.
    switched
        Pictures are shown from now on, or no more.
    """

    ready = Signal(str)
    switched = Signal()

    def __init__(self, make: MakePicture, parent: QObject) -> None:
        super().__init__(parent)
        self._make = make
        self.background = Background("medssl-thumbnails", self)
        self._made: dict[str, QPixmap | None] = {}
        self._waiting: list[str] = []
        self._is_busy = False
        self._is_on = True
        self._cache: DiskCache | None = None

    def use(self, is_on: bool, cache: DiskCache) -> None:
        """Show pictures or none, and keep them in a cache between sessions."""
        self._cache = cache
        if is_on != self._is_on:
            self._is_on = is_on
            self.clear()
            self.switched.emit()

    def get(self, key: str) -> QPixmap | None:
        """Return a picture, None while it is made or if its file cannot be read."""
        if not self._is_on:
            return None
        if key in self._made:
            return self._made[key]
        if key in self._waiting:
            self._waiting.remove(key)
        self._waiting.append(key)
        del self._waiting[:-MOST_WAITING]
        self._make_next()
        return None

    def clear(self) -> None:
        """Forget all: another project is open."""
        self.background.drop("thumbnail")
        self._made.clear()
        self._waiting.clear()
        self._is_busy = False

    def forget(self, key: str) -> None:
        """Make a picture anew when it is next asked for: its file has changed."""
        self._made.pop(key, None)

    def close(self) -> None:
        """Stop the thread."""
        self.background.close()

    def _make_next(self) -> None:
        if self._is_busy or not self._waiting:
            return
        key = self._waiting.pop()
        self._is_busy = True

        try:
            work = self._make(key, self._cache)
        except UserError:
            self._take(key, None)
            return
        self.background.submit(
            "thumbnail",
            work,
            partial(self._take, key),
            lambda _: self._take(key, None),
        )

    def _take(self, key: str, pixels: np.ndarray | None) -> None:
        self._is_busy = False
        picture = None
        if pixels is not None:
            height, width = pixels.shape[:2]
            image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
            picture = QPixmap.fromImage(image)
        if len(self._made) >= MOST_KEPT:
            self._made.pop(next(iter(self._made)))
        self._made[key] = picture
        self.ready.emit(key)
        self._make_next()
