"""Which image has which mask: by name, by `pairs.csv`, or by a set of the widget "Segmentation".

- `images/` and `masks/`: an image and its mask have one name, apart from the suffix.
- `pairs.csv` (image,mask and, if known, group,labels) beside them says it instead.
- `NAME.masks` is what the widget keeps; its classes have names.

`classes.csv` (class,name) in a folder names the class numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.pair_tables import read_names, read_table
from napari_medssl.backend.patients import Patients
from napari_medssl.io.images import ImageRef, natural_key

PAIRS, CLASSES = "pairs.csv", "classes.csv"
IMAGES, MASKS = "images", "masks"
_SOME = 3
_LONG_SUFFIXES = (".nii.gz", ".ome.tif", ".ome.tiff", ".ome.zarr")


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its mask; both may have several slices.

    Attributes
    ----------
    name
        File name of the image.
    group
        Whom or what it is of: images of one group are never split.
    image, mask
        Where they are; without a page, all of the file is meant.
    labels
        What the table says of the values of the mask, as `0|1|2`; "" for nothing.
    """

    name: str
    group: str
    image: ImageRef
    mask: ImageRef
    labels: str = ""


@dataclass(frozen=True, slots=True)
class PairListing:
    """What a folder holds.

    Attributes
    ----------
    pairs
        In natural order, or that of the table.
    class_names
        Names of class numbers, as far as they are known.
    failures
        (name, reason) of what the table names and is not there.
    remarks
        Of images without a mask and the other way round, which are left out.
    is_painted
        Whether a person has made the masks in our widget: their numbers are classes.
    """

    pairs: tuple[Pair, ...]
    class_names: dict[int, str] = field(default_factory=dict)
    failures: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    is_painted: bool = False


def list_pairs(folder: Path, patients: Patients, option: str = "--labelled") -> PairListing:
    """Return the images of a folder with their masks.

    Parameters
    ----------
    folder
        See the module's text.
    patients
        Says whose image it is by its file name, where no table gives a group. An image of nobody
        is a group of its own.
    option
        What named the folder, for messages.

    Raises
    ------
    UserError
        If it is no such folder, or no image in it has a mask.
    """
    if not folder.is_dir():
        raise UserError(
            f"{option} {str(folder)!r} is not a folder. Give one with {IMAGES}/ and {MASKS}/."
        )
    if is_mask_set(folder):
        return _painted_pairs(folder, patients)
    for name, what in ((IMAGES, "the images"), (MASKS, "a mask of the same name for each")):
        if not (folder / name).is_dir():
            raise UserError(
                f"{option} {str(folder)!r} has no folder {name}/. Due are {IMAGES}/ and {MASKS}/; "
                f"put {what} into {name}/."
            )
    names = read_names(folder / CLASSES)
    if (folder / PAIRS).is_file():
        return _listed_pairs(folder, names, patients)
    return _pairs_by_name(folder, names, patients)


def is_mask_set(folder: Path) -> bool:
    """Say whether a folder is a set of masks of the widget "Segmentation"."""
    from napari_medssl.state.mask_folder import MaskFolder

    return (folder / MaskFolder.file_name).is_file()


def stem_of(name: str) -> str:
    """Return a file name without its suffix, ".nii.gz" and the like being one."""
    for suffix in _LONG_SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return Path(name).stem


def visible_files(folder: Path) -> list[Path]:
    """Return what lies in a folder and is not hidden, in natural order.

    Folders are left out, unless their names say that they are zarr stores.

    Raises
    ------
    UserError
        If the folder cannot be listed.
    """
    try:
        entries = [
            path
            for path in folder.iterdir()
            if not path.name.startswith(".") and (path.suffix == ".zarr" or not path.is_dir())
        ]
    except OSError as error:
        raise UserError(f"Cannot list {str(folder)!r}: {error.strerror or error}.") from error
    return sorted(entries, key=lambda path: natural_key(path.name))


def some_names(names: Iterable[str]) -> str:
    """Return the first few of some names, and how many there are beyond."""
    every = list(names)
    more = f" and {len(every) - _SOME} more" if len(every) > _SOME else ""
    return ", ".join(map(repr, every[:_SOME])) + more


# -- images/ and masks/ --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StemMatch:
    """Files of `images/` and `masks/` that have one name, apart from the suffix."""

    pairs: tuple[tuple[str, Path, Path], ...]  # stem, image, mask; one at least
    bare: tuple[str, ...]  # names of images without a mask
    lone: tuple[str, ...]  # names of masks without an image
    failures: tuple[tuple[str, str], ...]  # files whose name is that of another


def match_stems(folder: Path) -> StemMatch:
    """Return which file of `images/` has which of `masks/`.

    Raises
    ------
    UserError
        If they cannot be listed, or no image has a mask.
    """
    failures: list[tuple[str, str]] = []
    images = _by_stem(visible_files(folder / IMAGES), failures)
    masks = _by_stem(visible_files(folder / MASKS), failures)
    pairs = tuple((stem, path, masks[stem]) for stem, path in images.items() if stem in masks)
    bare = tuple(path.name for stem, path in images.items() if stem not in masks)
    lone = tuple(path.name for stem, path in masks.items() if stem not in images)
    if not pairs:
        seen = some_names(bare) or "nothing", some_names(lone) or "nothing"
        raise UserError(
            f"No image in {str(folder)!r} has a mask: {IMAGES}/ holds {seen[0]}, {MASKS}/ {seen[1]}"
            ". An image and its mask have the same name, apart from the suffix."
        )
    return StemMatch(pairs, bare, lone, tuple(failures))


def _pairs_by_name(folder: Path, names: dict[int, str], patients: Patients) -> PairListing:
    match = match_stems(folder)
    pairs = tuple(
        Pair(path.name, patients.of(path.name) or stem, ImageRef(path), ImageRef(mask))
        for stem, path, mask in match.pairs
    )
    remarks = []
    if match.bare:
        remarks.append(
            f"{len(match.bare)} of {len(match.bare) + len(pairs)} images have no mask and are left "
            f"out: {some_names(match.bare)}. As --unlabelled they can be learned from too."
        )
    if match.lone:
        remarks.append(
            f"{len(match.lone)} of {len(match.lone) + len(pairs)} masks have no image and are left "
            f"out: {some_names(match.lone)}."
        )
    return PairListing(pairs, names, match.failures, tuple(remarks))


def _by_stem(paths: Sequence[Path], failures: list[tuple[str, str]]) -> dict[str, Path]:
    """Return files by stem; of two with the same, the second is a failure."""
    found: dict[str, Path] = {}
    for path in paths:
        other = found.setdefault(stem_of(path.name), path)
        if other is not path:
            reason = f"{other.name!r} has the same name apart from the suffix; which is meant?"
            failures.append((f"{path.parent.name}/{path.name}", reason))
    return found


# -- tables --------------------------------------------------------------------------------------


def _listed_pairs(folder: Path, names: dict[int, str], patients: Patients) -> PairListing:
    table = folder / PAIRS
    pairs, failures = [], []
    for line, row in enumerate(read_table(table, ("image", "mask")), start=2):
        image, mask = row["image"], row["mask"]
        try:
            if not (image and mask):
                raise UserError(f"{PAIRS}, line {line}, names no image or no mask.")
            refs = _inside(folder / IMAGES, image), _inside(folder / MASKS, mask)
        except UserError as error:
            failures.append((image or f"line {line}", str(error)))
            continue
        group = row.get("group") or patients.of(image) or stem_of(image)
        pairs.append(Pair(image, group, *refs, row.get("labels") or ""))
    if not pairs:
        told = f": {failures[0][1]}" if failures else "."
        raise UserError(f"{str(table)!r} lists no image that is there with its mask{told}")
    return PairListing(tuple(pairs), names, tuple(failures))


def _inside(folder: Path, name: str) -> ImageRef:
    try:
        ref = ImageRef.parse(folder / name)
        is_there = ref.path.resolve().is_relative_to(folder.resolve()) and ref.path.exists()
    except (OSError, ValueError):  # a NUL in the name
        is_there = False
    if not is_there:
        raise UserError(f"{PAIRS} names {name!r}, which is no file in {str(folder)!r}.")
    return ref


# -- sets of the widget --------------------------------------------------------------------------


def painted_without_mask(folder: Path) -> list[ImageRef]:
    """Return the images of a set of the widget that have no mask that a person stands for."""
    from napari_medssl.state.mask_folder import MaskFolder

    with MaskFolder.open(folder) as masks:
        return [item.ref for item in masks.store.as_dict().values() if not item.is_label]


def _painted_pairs(folder: Path, patients: Patients) -> PairListing:
    from napari_medssl.state.mask_folder import MaskFolder

    names: dict[int, str] = {}
    pairs, bare = [], 0
    with MaskFolder.open(folder) as masks:
        # Opening has written what was only in the journal: every mask is a file.
        for key, item in masks.store.as_dict().items():
            file = masks.mask_file(key)
            if file is None or not item.is_label:
                bare += 1
                continue
            group = patients.of(item.name) or stem_of(item.ref.path.name)
            pairs.append(Pair(item.name, group, item.ref, ImageRef(file)))
            names |= {n: name for n, name in enumerate(item.classes, start=1) if n not in names}
        names |= {number: one.name for number, one in masks.classes.items()}
    if not pairs:
        raise UserError(
            f"No image of the set {str(folder)!r} has a mask that was painted, corrected or "
            "accepted. Paint or accept one first."
        )
    return PairListing(
        tuple(pairs),
        names,
        remarks=(f"{bare} images of the set have no mask that a person stands for; left out.",)
        * bool(bare),
        is_painted=True,
    )
