"""Tiles and their embeddings in HDF5 files of TRIDENT and CLAM.

Both write `coords`, the level-0 top left corner (x, y) of every tile, and `features`, a row for
each. What a tile's side is stands in the attributes of `coords`: TRIDENT's `patch_size_level0`;
CLAM's `patch_size` in pixels of `patch_level`, times `downsample`. CLAM's files of features have
none of these; its files of patches have no features.

An HDF5 file can point at any file of the machine (external and soft links, external storage,
virtual datasets) and claim any size: all that is refused, and so is what needs a plug-in to be
unpacked. Nothing pickled is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.limits import one_line

MOST_TILES = 20_000_000
MOST_DIM = 65_536
_MOST_BYTES = 16 * 2**30
_MOST_RATIO = 200  # of what is claimed to what the file holds
_SMALL = 2**20  # bytes: no bomb
_FILTERS = {1, 2, 3, 4, 6, 32_000}  # deflate, shuffle, Fletcher's sum, szip, scale-offset, LZF


@dataclass(frozen=True, slots=True)
class TileH5:
    """Tiles of one slide.

    Attributes
    ----------
    locations
        Level-0 `(x, y)` of the top left corners, int64, shape (N, 2).
    size
        Side of a tile in level-0 pixels; None where the file does not say.
    pixels
        Side of a tile as the encoder saw it; None where the file does not say.
    embeddings
        float32, shape (N, D), as they stand in the file; None where there are none.
    slide
        Name of the slide that the file says, "" for none.
    encoder
        Name of the encoder that the file says, "" for none.
    """

    locations: NDArray[np.int64]
    size: int | None
    pixels: int | None
    embeddings: NDArray[np.float32] | None
    slide: str = ""
    encoder: str = ""


def read_tile_h5(path: Path) -> TileH5:
    """Return the tiles of a file of TRIDENT or CLAM.

    Raises
    ------
    UserError
        If it cannot be read, holds something else, or points outside of itself.
    """
    import h5py

    name = path.name
    try:
        with h5py.File(path, "r") as file:
            return _read(file, name)
    except FileNotFoundError:
        raise UserError(f"Cannot read {str(path)!r}: there is no such file.") from None
    except UserError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError) as error:
        raise UserError(
            f"Cannot read {name!r} as tiles of TRIDENT or CLAM: it is damaged or another kind of "
            f"file ({one_line(error)})."
        ) from error


def _read(file: Any, name: str) -> TileH5:
    coords = _dataset(file, "coords", name)
    if coords is None:
        raise UserError(
            f"{name!r} has no dataset 'coords', so its tiles have no places. Give a file that "
            "TRIDENT or CLAM wrote."
        )
    if coords.ndim != 2 or coords.shape[1] != 2 or coords.dtype.kind not in "iu":
        raise UserError(
            f"'coords' of {name!r} is {coords.dtype} {coords.shape}; due are whole numbers (N, 2)."
        )
    about = coords.attrs
    locations = np.asarray(coords[:], np.int64)
    features = _dataset(file, "features", name)
    embeddings = None if features is None else _embeddings(features, len(locations), name)
    size, pixels = _sizes(about, name)
    encoder = "" if features is None else _text(features.attrs, "encoder")
    return TileH5(
        locations,
        size,
        pixels,
        embeddings,
        _text(about, "name"),
        "" if encoder == "None" else encoder,
    )


def _dataset(file: Any, key: str, name: str) -> Any:
    """Return a dataset that lies in the file itself, None where there is none."""
    import h5py

    link = file.get(key, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise UserError(
            f"{key!r} of {name!r} is a link to another place, which could be any file. Copy the "
            "data into one file (h5repack, h5copy)."
        )
    found = file[key]
    if not isinstance(found, h5py.Dataset):
        raise UserError(f"{key!r} of {name!r} is a group; due is a dataset.")
    if found.external or found.is_virtual:
        raise UserError(
            f"{key!r} of {name!r} keeps its values in other files. Copy the data into one file "
            "(h5repack)."
        )
    plan = found.id.get_create_plist()
    filters = {plan.get_filter(number)[0] for number in range(plan.get_nfilters())}
    if not filters <= _FILTERS:
        raise UserError(
            f"{key!r} of {name!r} is packed by a plug-in (filter {min(filters - _FILTERS)}). "
            "Write it again with gzip or without compression."
        )
    if found.dtype.kind not in "iuf":
        raise UserError(f"{key!r} of {name!r} holds {found.dtype}; due are numbers.")
    _check_size(found, key, name)
    return found


def _check_size(found: Any, key: str, name: str) -> None:
    """Refuse what claims more than the file can hold, before anything is read."""
    claimed, stored = int(found.nbytes), int(found.id.get_storage_size())
    if found.ndim and (found.shape[0] > MOST_TILES or max(found.shape[1:], default=1) > MOST_DIM):
        raise UserError(
            f"{key!r} of {name!r} says that it is {found.shape}; the limit is {MOST_TILES} rows of "
            f"{MOST_DIM}."
        )
    if claimed > _MOST_BYTES or (claimed > _SMALL and claimed > _MOST_RATIO * max(stored, 1)):
        raise UserError(
            f"{key!r} of {name!r} says that it holds {claimed / 1e6:.0f} MB but keeps "
            f"{stored / 1e6:.1f} MB. It is damaged."
        )


def _embeddings(features: Any, tiles: int, name: str) -> NDArray[np.float32]:
    shape = features.shape
    if features.ndim == 3 and shape[0] == 1:  # some versions of TRIDENT keep a batch of one slide
        values = np.asarray(features[0], np.float32)
    elif features.ndim == 2:
        values = np.asarray(features[:], np.float32)
    else:
        raise UserError(f"'features' of {name!r} is {shape}; due are rows of numbers (N, D).")
    if len(values) != tiles or values.shape[1] < 1:
        raise UserError(
            f"{name!r} has {len(values)} rows of features for {tiles} tiles. Extract them again."
        )
    if not np.isfinite(values).all():
        row = int((~np.isfinite(values).all(axis=1)).argmax())
        raise UserError(f"Row {row} of 'features' of {name!r} is not finite. Extract it again.")
    return values


def _sizes(about: Any, name: str) -> tuple[int | None, int | None]:
    """Return the side of a tile at level 0 and as the encoder saw it."""
    pixels = _whole(about, "patch_size", name)
    size = _whole(about, "patch_size_level0", name)
    if size is None and pixels is not None and "downsample" in about:
        downsample = np.ravel(about["downsample"]).astype(float)
        if not len(downsample) or not (np.isfinite(downsample[0]) and downsample[0] >= 1):
            raise UserError(f"'downsample' of {name!r} is {downsample}; due is 1 or more.")
        size = round(pixels * float(downsample[0]))
    return size, pixels


def _whole(about: Any, key: str, name: str) -> int | None:
    if key not in about:
        return None
    value = np.ravel(about[key])
    if value.dtype.kind not in "iuf" or len(value) != 1 or not 1 <= value[0] <= 1_000_000:
        raise UserError(f"{key!r} of {name!r} is {value[:3]}; due is one number of 1 or more.")
    return round(float(value[0]))


def _text(about: Any, key: str) -> str:
    value = about.get(key, "")
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return " ".join(text.split())[:200]
