"""Small pictures of figures, made in a thread, those asked for last first."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QImage, QPixmap

from napari_medssl._errors import UserError
from napari_medssl.backend.disk_cache import DiskCache, file_key
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.widgets.separation.background import Background

WIDTH, HEIGHT = 84, 60
MOST_WAITING = 60
MOST_KEPT = 3000


def make_thumbnail(path: Path, page: int | None) -> np.ndarray:
    """Return the image of a file shrunk into 84 x 60 px, shape (Y, X, 3) uint8, at twice that.

    Twice the size keeps it sharp on screens with small pixels.
    """
    picture = Image.fromarray(read_image(ImageRef(path, page)))
    picture.thumbnail((2 * WIDTH, 2 * HEIGHT), Image.Resampling.BOX, reducing_gap=2.0)
    return np.ascontiguousarray(picture)


def cached_thumbnail(path: Path, page: int | None, cache: DiskCache | None) -> np.ndarray:
    """Return what `make_thumbnail` makes, from the cache if the file has not changed since."""
    if cache is None:
        return make_thumbnail(path, page)
    key = file_key(path, "thumbnail", page, WIDTH, HEIGHT)
    kept = cache.get(key)
    if kept is not None:
        with Image.open(io.BytesIO(kept)) as picture:
            return np.array(picture.convert("RGB"))
    pixels = make_thumbnail(path, page)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    cache.put(key, stream.getvalue())
    return pixels


class Thumbnails(QObject):
    """Pictures by key, made when they are first asked for.

    Signals
    -------
    ready
        Emitted with the key of a picture that is there now.
    switched
        Pictures are shown from now on, or no more.
    """

    ready = Signal(str)
    switched = Signal()

    def __init__(self, locate: Callable[[str], tuple[Path, int | None]], parent: QObject) -> None:
        super().__init__(parent)
        self._locate = locate
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

    def close(self) -> None:
        """Stop the thread."""
        self.background.close()

    def _make_next(self) -> None:
        if self._is_busy or not self._waiting:
            return
        key = self._waiting.pop()
        self._is_busy = True

        try:
            path, page = self._locate(key)
        except UserError:
            self._take(key, None)
            return
        self.background.submit(
            "thumbnail",
            partial(cached_thumbnail, path, page, self._cache),
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
