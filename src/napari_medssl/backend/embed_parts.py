"""What a long run of `embed` has done so far, kept beside its table until that is written.

In the folder `NAME.parquet.parts` lie tables of some pictures each, written whole: a run that is
stopped, killed or cut off by a power cut goes on from them. A part tells which encoder made it,
and of each picture the path, size and time of its file: a picture that was changed since is
embedded again, and so is everything if the encoder is another.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.encoders import EncoderInfo
from napari_medssl.io.embedding_table import read_embeddings, write_embeddings
from napari_medssl.io.files import TEMPORARY, make_folder
from napari_medssl.io.images import ImageRef

_MOST_PICTURES = 2000
_MOST_S = 20.0  # of work that a kill may cost


class EmbeddedParts:
    """The embeddings of a run by picture, those of a former run of the same table among them.

    Parameters
    ----------
    out
        The table that they are to become.
    encoder
        What makes them.
    refs
        The pictures, each as its file is now.
    """

    def __init__(self, out: Path, encoder: EncoderInfo, refs: Sequence[ImageRef]) -> None:
        self.folder = out.with_name(out.name + ".parts")
        self._encoder: dict[str, Any] = json.loads(json.dumps(asdict(encoder)))
        self._stamps = {ref: _stamp(ref) for ref in refs}
        self._rows: dict[str, NDArray[np.float32]] = {}
        self._unsaved: list[str] = []
        self._saved_at = time.monotonic()
        self._count = 0
        for path in sorted(self.folder.glob("*.parquet")):
            self._read(path)

    def __contains__(self, ref: ImageRef) -> bool:
        return self._stamps[ref] in self._rows

    def rows(self, refs: Sequence[ImageRef]) -> NDArray[np.float32]:
        """Return the embeddings of pictures that are all there, shape (N, D)."""
        none = [np.empty((0, self._encoder["dim"]), np.float32)]
        return np.concatenate(none + [self._rows[self._stamps[ref]][None] for ref in refs])

    def add(self, refs: Sequence[ImageRef], embeddings: NDArray[np.float32]) -> None:
        """Take the embeddings (B, D) of pictures; write a part if it is time to."""
        for ref, row in zip(refs, embeddings, strict=True):
            self._rows[self._stamps[ref]] = row
            self._unsaved.append(self._stamps[ref])
        is_late = time.monotonic() - self._saved_at > _MOST_S
        if is_late or len(self._unsaved) >= _MOST_PICTURES:
            self.save()

    def save(self) -> None:
        """Write what no part holds yet."""
        if self._unsaved:
            make_folder(self.folder)
            rows = np.stack([self._rows[stamp] for stamp in self._unsaved])
            write_embeddings(
                self._unsaved, rows, self._encoder, self.folder / f"{self._count:06d}.parquet"
            )
            self._count += 1
            self._unsaved = []
        self._saved_at = time.monotonic()

    def remove(self) -> None:
        """Remove the parts, and their folder if it holds nothing else: the table is written."""
        with suppress(OSError):
            for path in self.folder.glob("*.parquet"):
                if path.stem.isdecimal():
                    path.unlink()
            self.folder.rmdir()

    def _read(self, path: Path) -> None:
        """Take what a former run wrote, unless it is damaged or of another encoder."""
        if path.name.startswith(TEMPORARY):
            path.unlink(missing_ok=True)  # a kill left it
            return
        self._count = max(self._count, int(path.stem) + 1 if path.stem.isdecimal() else 0)
        try:
            stamps, rows, encoder = read_embeddings(path)
        except UserError:
            return
        if encoder == self._encoder:
            self._rows.update(zip(stamps, rows, strict=True))


def _stamp(ref: ImageRef) -> str:
    """Return what tells a picture, and its file as it is now, from all others."""
    file = [str(ref.path.absolute()), ref.page]
    try:
        state = ref.path.stat()
    except OSError:  # it went away since it was listed: reading it will tell
        return json.dumps(file)
    return json.dumps([*file, state.st_size, state.st_mtime_ns])
