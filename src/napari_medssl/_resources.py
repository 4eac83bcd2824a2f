"""Find a file of `resources/` in a wheel or in a checkout."""

from __future__ import annotations

from pathlib import Path

_PLACES = (Path(__file__).parent / "resources", Path(__file__).parents[2] / "resources")


def resources_folder() -> Path:
    """Return the folder that holds the shipped models and samples."""
    for place in _PLACES:
        if place.is_dir():
            return place
    raise FileNotFoundError(
        f"No resources folder at {_PLACES[0]} or {_PLACES[1]}. Reinstall napari-medssl."
    )
