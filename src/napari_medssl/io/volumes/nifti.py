"""NIfTI-1 and NIfTI-2 in one file, plain or compressed; headers by nibabel, slices by ourselves.

Slices follow one another in the file, so one is read, or written, at a time. We differ from nibabel
in that nothing is allocated by what a header claims: a file must be long enough for it, or, when
compressed, could be. A compressed file is unpacked once; from then on any slice of it costs a few
megabytes of unpacking (indexed_gzip), also when it is opened again, while the file stays as it is.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.io.class_legend import MOST_BYTES, NO_LEGEND, ClassLegend
from napari_medssl.io.class_nifti import EFFORT, LABEL, header_of_slice, legend_of, mask_parts
from napari_medssl.io.files import replace_whole
from napari_medssl.io.limits import one_line
from napari_medssl.io.volumes.remembered import Remembered, Stamp, stamp_of
from napari_medssl.io.volumes.volume import Spacing, Volume, plausible_spacing

_SIZES = {348: 1, 540: 2}  # of the header, by version
_MOST_OFFSET = 2**26  # extensions come before the values
_MOST_INFLATION = 1032  # times: what deflate makes of one byte at most
_MM = {"meter": 1e3, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}
_AXES = 3
_LEAST_STEP = 2**22  # unpacked bytes from one place that is gone on from to the next
_MOST_PLACES = 128  # of a file; each takes 32 KB
_unpackers: Remembered[Any] = Remembered(capacity=8)


class NiftiVolume(Volume):
    """A NIfTI file; see the package's text for its axes."""

    def __init__(self, path: Path) -> None:
        self.suffix = ".nii.gz" if path.name.lower().endswith(".gz") else ".nii"
        self._file, self._is_packed = _open(path)
        try:
            self._stamp = stamp_of(path)
            self._header = _read_header(path, self._file, self._is_packed)
            shape, kind = _checked(path.name, self._header)
            slope, inter = self._header.get_slope_inter()
            self._line = (1.0 if slope is None else float(slope), float(inter or 0.0))
            self._kind = kind
            self._offset = _offset(path.name, self._header)
            super().__init__(path, shape, self._value_type(), _spacing(self._header))
            self._check_length()
        except BaseException:
            self.close()
            raise

    @property
    def place(self) -> NDArray[np.float64] | None:
        """See `Volume.place`; many a program writes the identity where it knows none."""
        if int(self._header["sform_code"]) <= 0 and int(self._header["qform_code"]) <= 0:
            return None
        found = np.asarray(self._header.get_best_affine(), np.float64)
        return None if (found == np.eye(4)).all() else found

    @property
    def is_mask(self) -> bool:
        """See `Volume.is_mask`; floats, or values that a line is applied to, are no classes."""
        return int(self._header["intent_code"]) == LABEL and (
            self.dtype.kind in "ui" and not self._kind.fields
        )

    @property
    def legend(self) -> ClassLegend:
        """See `Volume.legend`."""
        size = int(self._header["sizeof_hdr"])
        if not self.is_mask or self._offset > size + 2 * MOST_BYTES:
            return NO_LEGEND
        try:
            with self.path.open("rb") as file:
                whole: Any = gzip.GzipFile(fileobj=file) if self._is_packed else file
                return legend_of(self._header, whole.read(self._offset)[size:])
        except (OSError, EOFError, zlib.error):  # names are no reason to refuse the numbers
            return NO_LEGEND

    @property
    def sure_spacing_mm(self) -> Spacing | None:
        """See `Volume.sure_spacing_mm`: a file without a unit whose sides are all 1 is not sure."""
        if self.spacing_mm is None or int(self._header["xyzt_units"]) & 7:
            return self.spacing_mm
        return None if set(self.spacing_mm) == {1.0} else self.spacing_mm

    def close(self) -> None:
        """See `Volume.close`."""
        self._file.close()

    @property
    def _slice_bytes(self) -> int:
        return self.shape[1] * self.shape[2] * self._kind.itemsize

    def _value_type(self) -> np.dtype[np.generic]:
        if self._line != (1.0, 0.0):
            return np.dtype(np.float64)
        return np.dtype(np.uint8) if self._kind.fields else self._kind.newbyteorder("=")

    def _check_length(self) -> None:
        """Refuse what is too short for the header before a byte of it is asked for."""
        due = self._offset + self.shape[0] * self._slice_bytes
        there = self.path.stat().st_size
        most = there * _MOST_INFLATION if self._is_packed else there
        if due > most:
            raise UserError(
                f"Cannot read {self.path.name!r}: it has {there} bytes, too few for the "
                f"{' x '.join(map(str, self.shape[::-1]))} voxels of its header. It is cut off, or "
                "no honest file."
            )

    def _read(self, z: int) -> NDArray[np.generic]:
        data = self._bytes_of(z)
        if len(data) < self._slice_bytes:
            raise EOFError(f"{len(data)} of {self._slice_bytes} bytes are there")
        stored = np.frombuffer(data, self._kind).reshape(self.shape[1:])
        if self._kind.fields:  # RGB, or RGBA, whose opacity says nothing in a scan
            return stored.view(np.uint8).reshape(*self.shape[1:], -1)[..., :3]
        if self._line == (1.0, 0.0):
            return stored.astype(self.dtype, copy=False)
        return stored * self._line[0] + self._line[1]

    def _bytes_of(self, z: int) -> bytes:
        """Return what is stored of slice `z`, less where the file is cut off."""
        at = self._offset + z * self._slice_bytes
        if not self._is_packed:
            self._file.seek(at)
            return self._file.read(self._slice_bytes)
        if self._stamp is None or stamp_of(self.path) != self._stamp:
            raise UserError(f"{self.path.name!r} was changed while it was read. Open it again.")
        length = self._offset + self.shape[0] * self._slice_bytes
        return cast(bytes, _unpacker(self._stamp, length).pread(self._slice_bytes, at))

    def write_slice(
        self,
        target: Path,
        classes: NDArray[np.uint8],
        z: int,
        legend: ClassLegend = NO_LEGEND,
    ) -> None:
        """Write the class numbers of slice `z` (from 0) alone, where it lies in space.

        Parameters
        ----------
        target
            File to make.
        classes
            uint8, of the size of a slice, shape (Y, X).
        legend
            What the classes are called.

        Raises
        ------
        UserError
            If it cannot be written.
        """
        write_parts(target, mask_parts(header_of_slice(self._header, z), legend, [classes]))

    def _write(
        self, target: Path, slices: Iterator[NDArray[np.uint8]], legend: ClassLegend
    ) -> None:
        write_parts(target, mask_parts(self._header, legend, slices))


def write_parts(target: Path, parts: Iterable[bytes]) -> None:
    """Write the parts of a file, see `io.class_nifti`; compressed if its name says so."""
    with replace_whole(target) as temporary, temporary.open("wb") as file:
        if not target.name.lower().endswith(".gz"):
            file.writelines(parts)
            return
        with gzip.GzipFile("", "wb", EFFORT, file, mtime=0) as packed:
            packed.writelines(parts)


def _open(path: Path) -> tuple[BinaryIO, bool]:
    """Return a file, and whether it is compressed."""
    try:
        if not path.is_file():
            raise UserError(f"Cannot read {str(path)!r}: there is no such file.")
        file = path.open("rb")
        start = file.read(2)
        file.seek(0)
    except OSError as error:
        raise UserError(f"Cannot read {str(path)!r}: {error.strerror or error}.") from error
    return file, start == b"\x1f\x8b"  # by content: its name may say otherwise


def _unpacker(stamp: Stamp, length: int) -> Any:
    """Return what reads a compressed file anywhere, also from several threads at once.

    It opens the file when it reads alone, and goes on from places that it keeps on its way; those
    of a file whose content is long lie further apart.
    """
    from indexed_gzip import IndexedGzipFile

    def made() -> Any:
        step = max(_LEAST_STEP, length // _MOST_PLACES)
        return IndexedGzipFile(str(stamp[0]), spacing=step, buffer_size=_LEAST_STEP)

    return _unpackers.get(stamp) or _unpackers.keep(stamp, made())


def _read_header(path: Path, file: BinaryIO, is_packed: bool) -> Any:
    """Return the header as nibabel's, of which nothing was checked."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    try:
        block = (gzip.GzipFile(fileobj=file) if is_packed else file).read(max(_SIZES))
        for order, endianness in (("little", "<"), ("big", ">")):
            size = int.from_bytes(block[:4], order)  # type: ignore[arg-type]
            if size in _SIZES and len(block) >= size:
                kind = Nifti1Header if _SIZES[size] == 1 else Nifti2Header
                return kind(block[:size], endianness=endianness, check=False)
    except Exception as error:  # gzip and nibabel raise many kinds
        raise UserError(
            f"Cannot read {path.name!r}: its NIfTI header is damaged ({one_line(error)})."
        ) from error
    if not block:
        raise UserError(f"Cannot read {path.name!r}: the file is empty.")
    raise UserError(
        f"Cannot read {path.name!r}: it does not begin with a NIfTI header. Save it as .nii or "
        ".nii.gz again."
    )


def _checked(name: str, header: Any) -> tuple[tuple[int, int, int], np.dtype[np.generic]]:
    """Return shape (Z, Y, X) and type of the stored values."""
    magic = bytes(header["magic"].tobytes()).rstrip(b"\0")
    if magic[:2] == b"ni":
        raise UserError(
            f"Cannot read {name!r}: its voxels are in another file (.hdr and .img). Save both as "
            "one .nii file."
        )
    if magic[:3] not in (b"n+1", b"n+2"):
        raise UserError(
            f"Cannot read {name!r}: its magic is {magic[:8]!r}; due is b'n+1' or b'n+2'. It is no "
            "NIfTI file."
        )
    dims = [int(value) for value in header["dim"]]
    sizes = dims[1 : dims[0] + 1] if 2 <= dims[0] <= 7 else []
    if not sizes or min(sizes) < 1:
        raise UserError(f"Cannot read {name!r}: its header has the sizes {dims}.")
    if math.prod(sizes[_AXES:]) > 1:
        raise UserError(
            f"Cannot read {name!r}: it has {len(sizes)} axes ({' x '.join(map(str, sizes))}); due "
            "are 3. Save each time point or channel by itself."
        )
    try:
        kind = header.get_data_dtype()
    except Exception as error:
        raise UserError(
            f"Cannot read {name!r}: its header has the data type {int(header['datatype'])}, which "
            "is unknown."
        ) from error
    if kind.kind not in "uif" and not kind.fields:
        raise UserError(f"Cannot read {name!r}: it holds {kind}; due are whole numbers or floats.")
    width, height, *more = sizes[:_AXES]
    return (more[0] if more else 1, height, width), kind


def _offset(name: str, header: Any) -> int:
    """Return where the values begin."""
    said, least = float(header["vox_offset"]), int(header["sizeof_hdr"]) + 4
    if not (said == 0 or least <= said <= _MOST_OFFSET):
        raise UserError(
            f"Cannot read {name!r}: its header says that the voxels begin at byte {said:g}; due "
            f"is {least} or a little more."
        )
    return int(said) or least


def _spacing(header: Any) -> Spacing | None:
    """Return the distances of voxels along (z, y, x); a file without a unit means mm."""
    try:
        factor = _MM.get(str(header.get_xyzt_units()[0]), 1.0)
    except KeyError:  # a code that no standard knows
        factor = 1.0
    x, y, z = (abs(float(value)) * factor for value in header["pixdim"][1:4])
    is_flat = int(header["dim"][0]) < _AXES
    return plausible_spacing(z or 1.0 if is_flat else z, y, x)
