"""Whether a store may be written at a place: what is there already is never touched."""

from __future__ import annotations

import os
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.slide_store.errors import StoreTakenError
from napari_medssl.io.slide_store.manifest import read_manifest
from napari_medssl.io.slide_store.plan import StoreSettings
from napari_medssl.io.slide_store.verify import check_sizes
from napari_medssl.io.slides.protocol import Slide


def check_place(out: Path) -> None:
    """Raise `UserError` if `out` is no name for a store."""
    if out.suffix != ".zarr" or out.name == ".zarr":
        raise UserError(f"--out is {out.name!r}; due is a name that ends with '.ome.zarr'.")
    if not out.parent.is_dir():
        raise UserError(f"There is no folder {str(out.parent)!r} for --out. Make it first.")


def check_finished(out: Path, slide: Slide, settings: StoreSettings) -> bool:
    """Say whether `out` is the finished store of this slide with these settings.

    Raises
    ------
    StoreTakenError
        If it is anything else that exists.
    """
    if not os.path.lexists(out):
        return False
    try:
        manifest = read_manifest(out) if out.is_dir() else None
    except UserError as error:
        raise StoreTakenError(str(error)) from error
    if manifest is None:
        raise StoreTakenError(
            f"{str(out)!r} exists and was not made by `medssl slide convert`; it was not touched. "
            "Choose another --out."
        )
    check_same(str(out), manifest.fingerprint, manifest.settings, slide, settings)
    lost = check_sizes(out, manifest)
    if lost:
        raise StoreTakenError(
            f"{str(out)!r} holds this slide, but of its {len(manifest.files)} files {len(lost)} "
            f"are missing or cut off (first {lost[0]!r}). Delete it to convert the slide again."
        )
    return True


def check_same(
    name: str, fingerprint: object, written: object, slide: Slide, settings: StoreSettings
) -> None:
    """Raise `StoreTakenError` if what `name` holds came from another slide or other settings."""
    if fingerprint != slide.fingerprint:
        raise StoreTakenError(
            f"{name!r} holds another slide than {slide.name!r}; it was not touched. "
            "Choose another --out."
        )
    changed = settings.differences(written)
    if changed:
        raise StoreTakenError(
            f"{name!r} holds this slide with other settings ({changed}); it was not touched. "
            "Choose another --out, or give the same settings."
        )
