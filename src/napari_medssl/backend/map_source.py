"""What a map is made of: names, embeddings, columns and pictures.

They come from any of these:

- a folder of pictures, or one picture file of many pages, embedded as `medssl cluster` does
- a file of features, see `io.feature_table`, or a folder of h5 files of TRIDENT or CLAM
- a library of slides, or one collection in it, see `index.library`
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.backend.cluster_folder import VIEWS, ClusterConfig
from napari_medssl.backend.config import check, option
from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.backend.folders import cache_folder
from napari_medssl.backend.jobs import OnProgress, ShouldStop, ignore, never
from napari_medssl.backend.map_features import feature_files, source_of_features
from napari_medssl.backend.map_folder import embed_folder
from napari_medssl.backend.map_library import library_place, source_of_library
from napari_medssl.backend.map_pictures import FilePictures
from napari_medssl.backend.map_rows import FOLDER_COLUMN, MapSource, check_rows, folder_column
from napari_medssl.io.feature_table import is_feature_file
from napari_medssl.io.images import ImageRef
from napari_medssl.io.slides.places import is_url

__all__ = ["MapSource", "SourceConfig", "open_source"]

_CACHE = "maps"
_CACHE_BYTES = 4 * 2**30


@dataclass(frozen=True)
class SourceConfig:
    """What is opened, and how pictures are embedded."""

    encoder: str = option(
        VIEWS,
        help="views fits ImageNet's features to the pictures; or one of `medssl embed`. Of a "
        "library that of its collection.",
    )
    recursive: bool = option(True, help="Also look into the folders of a folder.")
    seed: int = option(0, help="Of the views.", min=0)
    device: str = option(
        "auto", help="Where the network runs.", choices=("auto", "cpu", "cuda", "mps")
    )
    pictures: Path | None = option(
        None, help="Folder of the pictures that a file of features names."
    )
    slides: Path | None = option(None, help="Folder of the slides that h5 files are of.")


def has_embeddings(place: Path | str) -> bool:
    """Say whether a place holds embeddings, so that no network is needed to open it."""
    if isinstance(place, str) and is_url(place):
        return True
    path = Path(place).expanduser()
    if path.is_dir():
        return library_place(path) is not None or bool(feature_files(path))
    return path.is_file() and is_feature_file(path)


def open_source(
    place: Path | str,
    config: SourceConfig | None = None,
    *,
    cache: DiskCache | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> MapSource:
    """Return what a folder, a file or a library holds, to be laid out on a map.

    Parameters
    ----------
    place
        Where; a library may be a URL.
    config
        How pictures are embedded, and where those are that features name.
    cache
        Where embeddings of pictures are kept; None for the program's own.

    Raises
    ------
    UserError
        If it is missing, damaged or nothing to make a map of: fewer than two rows, two rows of one
        name, rows without direction.
    Cancelled
        If it was asked to stop.
    """
    config = SourceConfig() if config is None else config
    check(config)
    encoder = "" if config.encoder == VIEWS else config.encoder
    if isinstance(place, str) and is_url(place):
        return source_of_library(place, encoder, on_progress=on_progress, should_stop=should_stop)
    path = Path(place).expanduser()
    found = library_place(path)
    if found is not None:
        folder, name = found
        return source_of_library(
            folder, name or encoder, on_progress=on_progress, should_stop=should_stop
        )
    if not ImageRef.parse(path).path.exists():
        raise UserError(f"There is no {str(place)!r}. Give a folder, a file or a library.")
    if path.is_dir() and (files := feature_files(path)):
        return source_of_features(files, config.pictures, config.slides)
    if path.is_file() and is_feature_file(path):
        return source_of_features([path], config.pictures, config.slides)
    cache = DiskCache(cache_folder() / _CACHE, _CACHE_BYTES) if cache is None else cache
    return _of_pictures(path, config, cache, on_progress, should_stop)


def _of_pictures(
    path: Path,
    config: SourceConfig,
    cache: DiskCache,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> MapSource:
    how = ClusterConfig(
        encoder=config.encoder,
        recursive=config.recursive,
        seed=config.seed,
        device=config.device,
    )
    made = embed_folder([path], how, cache=cache, on_progress=on_progress, should_stop=should_stop)
    columns = {FOLDER_COLUMN: folder_column(made.names, path.name)}
    pictures = FilePictures(made.refs)
    source = MapSource(made.names, made.embeddings, columns, pictures, made.by, made.failures)
    return check_rows(source, str(path))
