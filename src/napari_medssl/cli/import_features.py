"""`medssl import-features`: embeddings of TRIDENT and CLAM into a library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_medssl._errors import UserError
from napari_medssl.backend.import_features import ImportFeaturesConfig
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_library


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "import-features",
        epilog="Example: medssl import-features features_uni/ --slides slides/ --library biopsies "
        "--name uni",
    )(run)


@with_config(ImportFeaturesConfig)
def run(
    files: Annotated[
        list[Path],
        typer.Argument(help="h5 files of features, or folders of them.", metavar="FILE|DIR..."),
    ],
    slides: Annotated[
        list[str],
        typer.Option(help="Slides, or folders of them; may be given several times."),
    ],
    library: Annotated[
        str,
        typer.Option(
            help="Library: a folder, or s3://, gs:// or az://...; made if missing.",
            metavar="DIR|URL",
        ),
    ],
    config: ImportFeaturesConfig,
) -> None:
    """Take embeddings that TRIDENT or CLAM made into a library that `medssl search` reads.

    A file belongs to the slide of the same name. Its tiles are found by place (--slide, --at); to
    search by a picture the encoder itself is needed, see docs/methods/siamese.md.
    """
    check_library(library)
    from napari_medssl.backend.import_features import import_features
    from napari_medssl.backend.slide_lists import list_slides

    found: list[Path] = []
    for path in files:
        found += sorted(path.rglob("*.h5")) if path.is_dir() else [path]
    if not found:
        raise UserError("There is no h5 file in what was given. Give the files of features.")
    known = [slide for given in slides for slide in list_slides(given)]
    with (
        _console.stop_on_interrupt() as should_stop,
        _console.progress_bar("Importing") as on_progress,
    ):
        report = import_features(
            found, known, library, config, on_progress=on_progress, should_stop=should_stop
        )
    names = ", ".join(sorted(report.collections)) or "nothing"
    _console.note(
        f"{_console.counted(report.tiles, 'tile')} of "
        f"{_console.counted(len(report.taken), 'slide')} imported into {names}."
    )
    _console.finish(len(report.taken), report.failures)
