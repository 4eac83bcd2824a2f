"""Slides by their fingerprint, found where they lie now, and kept open for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.slides import Slide, open_slide

_MOST_OPEN = 4


class OpenSlides:
    """The slides that were read last, open. Use from one thread at a time; `close` from any."""

    def __init__(self) -> None:
        self._slides: OrderedDict[str, Slide] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, fingerprint: str, candidates: Sequence[str]) -> Slide:
        """Return a slide, from the first of the places where it lies.

        Raises
        ------
        UserError
            If it lies at none of them, or another slide does.
        """
        with self._lock:
            slide = self._slides.get(fingerprint)
            if slide is None:
                slide = find_slide(fingerprint, candidates)
            self._slides[fingerprint] = slide
            self._slides.move_to_end(fingerprint)
            if len(self._slides) > _MOST_OPEN:
                self._slides.popitem(last=False)[1].close()
            return slide

    def close(self) -> None:
        """Close all."""
        with self._lock:
            while self._slides:
                self._slides.popitem()[1].close()


def find_slide(fingerprint: str, candidates: Sequence[str]) -> Slide:
    """Open the slide with a fingerprint, from the first of some places where it lies.

    Raises
    ------
    UserError
        If it lies at none of them, or another slide does, or it cannot be read.
    """
    reason = ""
    for place in candidates:
        if not _may_exist(place):
            continue
        try:
            slide = open_slide(place)
        except UserError as error:
            reason = reason or str(error)
            continue
        if slide.fingerprint == fingerprint:
            return slide
        slide.close()
        reason = reason or (
            f"{place!r} is another slide than the one that was indexed there. Put the former file "
            "back, or index this one."
        )
    if reason:
        raise UserError(reason)
    place = candidates[-1] if candidates else fingerprint[:8]
    raise UserError(
        f"The slide is not at {place!r} any more, where it was when it was indexed. Put it back, "
        "or open it from where it is now and index it again: nothing is embedded twice."
    )


def _may_exist(place: str) -> bool:
    """Say whether a file may be there; URLs may."""
    return "://" in place or Path(place).exists()
