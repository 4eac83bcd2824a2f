"""Look into the text files of multi-file slides: the parts they name lie beside them.

MIRAX and Hamamatsu VMS/VMU keep pixels in files that an INI file names. A hostile one could name
any file of the machine, so such names are refused before OpenSlide follows them.
"""

from __future__ import annotations

import re
from pathlib import Path

from napari_medssl._errors import UserError

_MOST_BYTES = 16 * 2**20
_HAMAMATSU_KEYS = re.compile(r"^(ImageFile|MacroImage|MapFile|OptimisationFile)", re.IGNORECASE)
_NEEDED = re.compile(r"^(ImageFile|FILE_|INDEXFILE)", re.IGNORECASE)
_MIRAX_KEYS = re.compile(r"^(FILE_[0-9]+|INDEXFILE)$", re.IGNORECASE)


def check_sidecars(path: Path) -> None:
    """Raise `UserError` if the slide at `path` names a part outside its folder, or one is missing.

    Files of other kinds pass unread.
    """
    suffix = path.suffix.lower()
    if suffix in (".vms", ".vmu"):
        _check_names(path, path, path.parent, _HAMAMATSU_KEYS)
    elif suffix == ".mrxs":
        folder = path.with_suffix("")
        index = folder / "Slidedat.ini"
        if not index.is_file():
            raise UserError(
                f"Cannot open {path.name!r}: its folder {folder.name!r} with Slidedat.ini is not "
                "beside it. Copy the folder too."
            )
        _check_names(path, index, folder, _MIRAX_KEYS)


def _check_names(slide: Path, index: Path, folder: Path, keys: re.Pattern[str]) -> None:
    for key, value in _entries(slide, index):
        if not keys.match(key) or not value:
            continue
        if _leads_away(folder, value):
            raise UserError(
                f"Cannot open {slide.name!r}: {index.name} names {value!r} as {key}, which lies "
                "outside its folder. The file is damaged or hostile."
            )
        if _NEEDED.match(key) and not (folder / value).is_file():
            raise UserError(
                f"Cannot open {slide.name!r}: its part {value!r} is missing. "
                f"Copy it into {folder.name!r}."
            )


def _leads_away(folder: Path, value: str) -> bool:
    if re.search(r"[/\\\0:]", value) or value in (".", ".."):
        return True
    target = folder / value
    return target.is_symlink() and not target.resolve().is_relative_to(folder.resolve())


def _entries(slide: Path, index: Path) -> list[tuple[str, str]]:
    """Return the `key = value` lines of an INI file."""
    try:
        if index.stat().st_size > _MOST_BYTES:
            raise UserError(f"Cannot open {slide.name!r}: {index.name} is too large for a list.")
        text = index.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise UserError(f"Cannot open {slide.name!r}: {error.strerror or error}.") from error
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("["))
    return [(key.strip(), value.strip()) for key, equals, value in pairs if equals]
