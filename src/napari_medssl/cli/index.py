"""`medssl index`: the tiles of slides as embeddings in a library, ready for search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from napari_medssl._errors import UserError
from napari_medssl.backend.index_config import IndexConfig, IndexReport, IndexStopped
from napari_medssl.cli import _console
from napari_medssl.cli._options import with_config
from napari_medssl.cli._places import check_library

if TYPE_CHECKING:
    from napari_medssl.backend.cluster import ClusterPlace


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        "index", epilog="Example: medssl index slides/ --library biopsies --encoder imagenet"
    )(index)


@with_config(IndexConfig)
def index(
    slides: Annotated[
        list[str],
        typer.Argument(
            help="Slides, folders of slides, or text files with one a line.", metavar="SLIDES"
        ),
    ],
    library: Annotated[
        str,
        typer.Option(
            help="Library: a folder, or s3://, gs:// or az://...; made if missing.",
            metavar="DIR|URL",
        ),
    ],
    config: IndexConfig,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take the slides out of the library instead.")
    ] = False,
    cluster: Annotated[
        str,
        typer.Option(
            help="Dask scheduler whose workers find and embed the tiles.",
            metavar="tcp://HOST:8786",
            rich_help_panel="Cluster",
        ),
    ] = "",
    worker_resources: Annotated[
        str,
        typer.Option(
            help="What a worker must offer to embed, for each shard at a time.",
            metavar="GPU=1",
            rich_help_panel="Cluster",
        ),
    ] = "",
) -> None:
    """Embed the tissue tiles of slides into a library that `medssl search` finds tiles in.

    Slides that are in it already are passed over. Stopped or killed, the same command goes on where
    it was. A slide that fails is reported on stderr; the others are indexed.
    """
    check_library(library)
    if remove:
        _remove(slides, library)
        return
    from napari_medssl.backend.index_slides import index_slides

    place = _cluster(cluster, worker_resources)
    found, failures = _found(slides)
    if not found:  # no library is made for nothing
        _console.finish(0, failures)
    try:
        with (
            _console.stop_on_interrupt() as should_stop,
            _console.progress_bar("Indexing") as on_progress,
        ):
            report = index_slides(
                found,
                library,
                config,
                cluster=place,
                on_progress=on_progress,
                should_stop=should_stop,
            )
    except IndexStopped as stopped:
        _console.finish_stopped(str(stopped), [*failures, *stopped.report.failures])
    for line in report.remarks:
        _console.warn(line)
    _console.note(_told(report))
    _console.finish(len(report.indexed) + len(report.skipped), [*failures, *report.failures])


def _cluster(address: str, resources: str) -> ClusterPlace | None:
    """Return the cluster that is asked for."""
    if not address:
        if resources:
            raise UserError("--worker-resources is for a cluster: give its address with --cluster.")
        return None
    from napari_medssl.backend.cluster import ClusterPlace, parse_resources

    return ClusterPlace(address, parse_resources(resources))


def _found(given: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the slides that are named, each once, and what cannot be found."""
    from napari_medssl.backend.slide_lists import list_slides

    slides: list[str] = []
    failures = []
    for name in given:
        try:
            here = list(list_slides(name))
        except UserError as error:
            failures.append((name, str(error)))
            continue
        if not here:
            failures.append((name, f"The folder {name!r} holds no slide."))
        slides += here
    return list(dict.fromkeys(slides)), failures


def _remove(slides: list[str], library: str) -> None:
    from napari_medssl.backend.index_slides import remove_slides

    report = remove_slides(slides, library)
    _console.note(f"{_console.counted(len(report.removed), 'slide')} taken out of the library.")
    _console.finish(len(report.removed), report.failures)


def _told(report: IndexReport) -> str:
    parts = [f"{_console.counted(len(report.indexed), 'slide')} indexed"]
    if report.skipped:
        parts.append(f"{len(report.skipped)} there already")
    parts.append(f"{_console.counted(report.tiles, 'tile')} embedded")
    how = "exact" if report.recall == 1.0 else f"recall {report.recall:.3f}"
    return f"{', '.join(parts)}; search in {report.collection} is {how}."
