"""`medssl slide`: what a slide is, a small picture of it, and its conversion."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_medssl.backend import slides as work
from napari_medssl.cli import _console, slide_convert
from napari_medssl.cli._options import with_config

_Slide = Annotated[
    str, typer.Argument(help="A slide: file, OME-Zarr folder or URL.", metavar="SLIDE")
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    from napari_medssl.cli import new_app

    slide_app = new_app(help="Look at whole-slide images.")
    slide_app.command("info", epilog="Example: medssl slide info biopsy.svs --json")(info)
    slide_app.command(
        "thumbnail", epilog="Example: medssl slide thumbnail biopsy.svs --out biopsy.png"
    )(thumbnail)
    slide_convert.register(slide_app)
    app.add_typer(slide_app, name="slide")


@with_config(work.SlideInfoConfig)
def info(
    slide: _Slide,
    config: work.SlideInfoConfig,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say what a slide is: size, microns per pixel, levels, fingerprint.

    What may name a patient (label, macro, free text) is left out unless --all is given.
    """
    found = work.slide_info(slide, config)
    if as_json:
        shown = asdict(found)
        hidden = () if config.all else ("associated_images", "private")
        _console.say_json({key: value for key, value in shown.items() if key not in hidden})
        return
    for title, text in _lines(found):
        _console.say(f"{title:<12} {_console.one_line(text)}".rstrip())


@with_config(work.ThumbnailConfig)
def thumbnail(
    slide: _Slide,
    config: work.ThumbnailConfig,
    out: Annotated[Path, typer.Option(help="The picture to write.", metavar="X.png")],
) -> None:
    """Write a small picture of the whole slide, without label and macro."""
    width, height = work.write_thumbnail(slide, out, config)
    _console.say(f"{out}: {width} x {height} pixels")


def _lines(found: work.SlideInfo) -> list[tuple[str, str]]:
    lines = [
        ("slide", found.name),
        ("kind", found.kind),
        ("size", f"{found.width} x {found.height} pixels{_in_mm(found)}"),
        ("mpp", _mpp(found.mpp)),
    ]
    if found.objective_power is not None:
        lines.append(("objective", f"{found.objective_power:g}x"))
    for number, level in enumerate(found.levels):
        lines.append(
            (
                f"level {number}",
                f"{level.width} x {level.height}, downsample {level.downsample:g}, "
                f"tiles of {level.tile_width} x {level.tile_height}",
            )
        )
    lines.append(("fingerprint", found.fingerprint))
    for name, (width, height) in (found.associated_images or {}).items():
        lines.append((name, f"{width} x {height} pixels"))
    lines.extend((found.private or {}).items())
    return lines


def _mpp(mpp: tuple[float, float] | None) -> str:
    if mpp is None:
        return "not known"
    x, y = (f"{value:.5g}" for value in mpp)
    return x if x == y else f"{x} along x, {y} along y"


def _in_mm(found: Any) -> str:
    if found.mpp is None:
        return ""
    width, height = found.width * found.mpp[0] / 1000, found.height * found.mpp[1] / 1000
    return f" ({width:.2f} x {height:.2f} mm)"
