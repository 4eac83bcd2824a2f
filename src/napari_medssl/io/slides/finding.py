"""Find the slides of a folder and of those inside."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.slides.opening import is_slide, open_slide

EMBEDDINGS = ".embeddings"
"""Suffix of the folders of a library of embeddings; the zarr groups in them are no slides."""

_NOT_LOOKED_INTO = (".regions", ".slides", ".partial", EMBEDDINGS)


def find_slides(
    folder: str | os.PathLike[str],
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[str]:
    """Yield the paths of the slides in a folder and those inside, in order of their names.

    Hidden files are passed over, and so are folders that cannot be read. A zarr store is one slide,
    and so is a DICOM series, of which the first file is given.

    Raises
    ------
    UserError
        If `folder` is no folder that can be read.
    """
    place = Path(folder)
    try:
        is_folder = place.is_dir()
        if is_folder:
            os.scandir(place).close()
    except (OSError, ValueError) as error:
        raise UserError(f"Cannot read the folder {str(place)!r}: {error}.") from error
    if not is_folder:
        raise UserError(f"There is no folder {str(place)!r}.")
    for parent, folders, files in os.walk(place):
        series: set[str] = set()
        stores = [name for name in folders if _is_store(Path(parent, name))]
        folders[:] = sorted(name for name in folders if _is_looked_into(name, stores))
        for name in sorted([*stores, *files]):
            if should_stop():
                return
            path = os.path.join(parent, name)
            if name.startswith(".") or not is_slide(path):
                continue
            if path.lower().endswith(".dcm") and _is_known_series(path, series):
                continue
            yield path


def _is_looked_into(name: str, stores: list[str]) -> bool:
    hidden = name.startswith(".") or name.lower().endswith(_NOT_LOOKED_INTO)
    return not hidden and name not in stores


def _is_known_series(path: str, known: set[str]) -> bool:
    """Tell whether another file of the same series was found before; note the series."""
    try:
        with open_slide(path) as slide:
            uid = slide.read_private_properties().get("dicom.SeriesInstanceUID", path)
    except UserError:
        return False
    if uid in known:
        return True
    known.add(uid)
    return False


def _is_store(path: Path) -> bool:
    return not path.name.lower().endswith(_NOT_LOOKED_INTO) and is_slide(path)
