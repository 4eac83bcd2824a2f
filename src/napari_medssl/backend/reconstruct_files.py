"""Reconstruct pictures with a trained autoencoder: each beside its original, with its error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.io.csv_files import write_csv
from napari_medssl.io.files import make_folder, write_whole
from napari_medssl.io.image_names import short_names
from napari_medssl.io.images import ImageRef, read_image
from napari_medssl.io.png_files import png_bytes

TABLE = "reconstructions.csv"


@dataclass(frozen=True)
class ReconstructConfig:
    """Reconstruct pictures with a trained autoencoder."""

    model: str = option(help="Autoencoder: a name, or a file NAME.safetensors.")
    device: str = option(
        "auto", help="Where the network runs.", choices=("auto", "cpu", "cuda", "mps")
    )


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """What became of one picture.

    Attributes
    ----------
    image
        Its name below the folder that holds all.
    cluster
        From 0.
    confidence
        How much it belongs to its cluster, 0 to 1.
    error
        Root of the mean squared error of its pixels, 0 to 1.
    """

    image: str
    cluster: int
    confidence: float
    error: float


@dataclass(frozen=True, slots=True)
class ReconstructReport:
    """What became of some pictures, and (name, reason) of those that could not be read."""

    pictures: tuple[Reconstruction, ...]
    failures: tuple[tuple[str, str], ...]

    @property
    def error(self) -> float:
        """Mean of the errors."""
        return float(np.mean([picture.error for picture in self.pictures]))


def places_of(refs: Sequence[ImageRef], out: Path) -> list[Path]:
    """Return the file that each picture's reconstruction goes to, in folders as the pictures are.

    Raises
    ------
    UserError
        If two pictures would share a file, or one would be overwritten.
    """
    places: dict[str, Path] = {}
    for ref, name in zip(refs, short_names(refs), strict=True):
        page = "" if ref.page is None else f"-p{ref.page}"
        relative = Path(name.rpartition("#page=")[0] if page else name)
        place = out / relative.with_name(f"{relative.stem}{page}.png")
        if places.setdefault(str(place).casefold(), place) is not place:
            raise UserError(
                f"Two pictures would be written to {str(place)!r}, the second is {ref.name!r}. "
                "Give them in two runs with two folders."
            )
    sources = {ref.path.resolve() for ref in refs}
    for place in places.values():
        if place.resolve() in sources:
            raise UserError(
                f"--out {str(out)!r} would overwrite the picture {place.name!r}. Name another "
                "folder."
            )
    return list(places.values())


def reconstruct_files(
    refs: Sequence[ImageRef],
    out: Path,
    config: ReconstructConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> ReconstructReport:
    """Write each picture beside its reconstruction, (S, 2 S), and a table of errors at the end.

    The left half is what the network sees, the middle square at its size. A picture that cannot be
    read is a failure, and the rest goes on.

    Raises
    ------
    UserError
        If the model or the folder cannot be used, see also `places_of`.
    Cancelled
        If `should_stop` said so; pictures that are written stay.
    """
    from napari_medssl.backend.autoencoder import load_autoencoder

    check(config)
    places = places_of(refs, out)
    model = load_autoencoder(config.model, config.device)
    make_folder(out)
    done: list[Reconstruction] = []
    failures: list[tuple[str, str]] = []
    for number, (ref, name, place) in enumerate(zip(refs, short_names(refs), places, strict=True)):
        if should_stop():
            raise Cancelled(
                f"Stopped after {number} of {len(refs)} pictures; {TABLE} is not written. "
                "Run the same command again for all of them."
            )
        on_progress(Progress(number, len(refs), ref.name))
        try:
            square = model.square(read_image(ref))
        except UserError as error:
            failures.append((ref.name, str(error)))
            continue
        embedding = model.embed(square[None])
        decoded = model.decode(embedding)[0]
        clusters, confidences = model.assign(embedding)
        make_folder(place.parent)
        write_whole(place, png_bytes(np.concatenate([square, decoded], axis=1)))
        row = int(clusters[0]), float(confidences[0]), _error(square, decoded)
        done.append(Reconstruction(name, *row))
    if done:
        write_csv(
            out / TABLE,
            ("image", "cluster", "confidence", "rmse"),
            [(p.image, p.cluster, round(p.confidence, 4), round(p.error, 5)) for p in done],
        )
    on_progress(Progress(len(refs), len(refs), "done"))
    return ReconstructReport(tuple(done), tuple(failures))


def _error(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    difference = first.astype(np.float64) - second
    return float(np.sqrt(np.mean(difference**2)) / 255)
