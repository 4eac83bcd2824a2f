"""Images and volumes to score by: those that `pairs.csv` lists, else those of one name.

Without a table an image in `images/` and its mask in `masks/` have one name, apart from the suffix,
and what the numbers of the masks mean `backend.mask_meaning` says, as it does for training.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import OnProgress, ShouldStop, ignore, never
from napari_medssl.backend.labelled_pairs import CLASSES, IMAGES, MASKS, StemMatch, match_stems
from napari_medssl.backend.mask_meaning import choose_meaning
from napari_medssl.backend.pair_tables import read_names
from napari_medssl.backend.picture_slices import read_mask_slices
from napari_medssl.backend.read_in_order import read_in_order
from napari_medssl.backend.segmentation_data import TABLE, Pair, PairTable, read_pairs
from napari_medssl.io.images import ImageRef


@dataclass(frozen=True, slots=True)
class TruthFolder:
    """What a folder holds to score by.

    Attributes
    ----------
    table
        Its pairs and classes.
    failures
        (name, reason) of files that have no counterpart.
    remarks
        What was decided, for a person.
    """

    table: PairTable
    failures: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()


def read_truth_folder(
    folder: Path,
    mask_values: str = "auto",
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> TruthFolder:
    """Return the pairs of a folder and their classes; without a table all masks are read for it.

    Parameters
    ----------
    folder
        With `images/` and `masks/`, perhaps `pairs.csv` and `classes.csv`.
    mask_values
        What numbers mean where no table says it, see `choose_meaning`.

    Raises
    ------
    UserError
        If nothing in it can be scored by, or the table is none.
    Cancelled
        If `should_stop` said so.
    """
    has_both = (folder / IMAGES).is_dir() and (folder / MASKS).is_dir()
    if (folder / TABLE).is_file() or not has_both:
        return TruthFolder(read_pairs(folder))
    match = match_stems(folder)
    names = read_names(folder / CLASSES)
    masks = [mask for _, _, mask in match.pairs]
    meaning = choose_meaning(
        _read_values(folder, masks, on_progress, should_stop), mask_values, names
    )
    table = PairTable(
        folder,
        tuple(Pair(image.name, mask.name, stem) for stem, image, mask in match.pairs),
        meaning.numbers,
        meaning.names,
        bool(names),
        frozenset(meaning.numbers) - meaning.allowed,
    )
    return TruthFolder(table, _without_counterpart(match), tuple(filter(None, [meaning.remark])))


def _without_counterpart(match: StemMatch) -> tuple[tuple[str, str], ...]:
    bare = [(name, f"It has no mask of its name in {MASKS}/.") for name in match.bare]
    lone = [
        (f"{MASKS}/{name}", f"It has no image of its name in {IMAGES}/.") for name in match.lone
    ]
    return (*match.failures, *bare, *lone)


def _read_values(
    folder: Path, masks: list[Path], on_progress: OnProgress, should_stop: ShouldStop
) -> list[frozenset[int]]:
    """Return the numbers that each mask holds, without those that cannot be read."""
    found: list[frozenset[int]] = []
    reason = ""
    what = f"reading masks of {folder.name}"
    for _, came in read_in_order(_values_of, masks, what, on_progress, should_stop):
        if isinstance(came, str):  # told again when it is to be scored
            reason = reason or came
        else:
            found.append(came)
    if not found:
        raise UserError(f"None of {len(masks)} masks in {str(folder)!r} can be read. {reason}")
    return found


def _values_of(mask: Path) -> frozenset[int]:
    """Return the numbers that a mask holds."""
    return frozenset[int]().union(
        *(np.unique(plane).tolist() for plane in read_mask_slices(ImageRef(mask)))
    )
