"""Where a verb may write: never over what it reads, never among the files of a project."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.slides.places import local_path


def check_library(place: str) -> None:
    """Raise `UserError` if a library would lie in a project; one at a URL cannot."""
    path = local_path(place)
    if path is not None:
        check_output(path, "--library")


def check_output(out: Path, option: str, inputs: Iterable[Path] = ()) -> None:
    """Raise `UserError` if `out` is one of `inputs`, or lies in a project (NAME.medssl).

    `option` is what the output is called on the command line, such as "--out".
    """
    place = out.resolve()
    if any(place == given.resolve() for given in inputs):
        raise UserError(f"{option} {str(out)!r} is an input, which stays as it is. Name a new one.")
    from napari_medssl.state.project import SUFFIX

    for folder in (place, *place.parents):
        if folder.suffix == SUFFIX and (folder / "project.json").exists():
            raise UserError(
                f"{option} {str(out)!r} lies in the project {folder.name!r}, whose files are its "
                "own. Name another place."
            )


def check_data_stays(out: Path, option: str, data: Path) -> None:
    """Raise `UserError` if `out` is a file that is there already in the folder `data`."""
    if out.exists() and out.resolve().is_relative_to(data.resolve()):
        raise UserError(
            f"{option} {str(out)!r} is a file of {str(data)!r} already, which stays as it is. "
            "Name a new file."
        )
