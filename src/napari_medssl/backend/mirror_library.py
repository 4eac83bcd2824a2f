"""Mirror a library in another engine, which searches what one machine cannot."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from napari_medssl._errors import UserError
from napari_medssl.backend.config import check, option
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.library_place import Place, read_library
from napari_medssl.index.engine import Engine, EngineEntry, SearchWay, check_url
from napari_medssl.index.engine_index import measured_way, needs_engine_index
from napari_medssl.index.engine_mirror import Mirror
from napari_medssl.index.flat import Flat
from napari_medssl.index.flat_update import open_flat
from napari_medssl.index.library import CollectionFolder, Library
from napari_medssl.io.file_lock import hold_lock
from napari_medssl.io.files import make_folder
from napari_medssl.io.slides.places import local_path

_STOPPED = "Stopped; what is mirrored stays. Give the same command again; it goes on there."


@dataclass(frozen=True)
class MirrorConfig:
    """Mirror a library in another engine."""

    encoder: str = option("", help="Encoder or collection, where the library holds several.")
    reindex: bool = option(
        False, help="Make the engine's index anew and measure it, also if little has changed."
    )


@dataclass(slots=True)
class MirrorReport:
    """What `mirror_library` did.

    Attributes
    ----------
    collection
        Name of the collection.
    added, removed
        Slides that were put in or changed, and that were taken out or replaced.
    tiles
        Tiles that the engine holds now.
    recall
        Of the search in the engine, as `index.SearchResult` has it.
    problems
        `(slide, reason)` of what the library could not give.
    """

    collection: str
    added: int = 0
    removed: int = 0
    tiles: int = 0
    recall: float = 1.0
    problems: list[tuple[str, str]] = field(default_factory=list)


def mirror_library(
    library: Place,
    url: str,
    config: MirrorConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> MirrorReport:
    """Make a collection of an engine equal to that of a library; only what changed is written.

    Stopped or killed, the same call goes on where it was; no tile is there twice.

    Parameters
    ----------
    library
        Folder of the library, or URL of one in an object store. It is only read.
    url
        Of the engine: a folder or a place in an object store. It holds one library.
    config
        Which collection.
    on_progress, should_stop
        See `backend.jobs`; progress counts tiles.

    Raises
    ------
    UserError
        If there is no such library, the engine cannot be written, or it mirrors another library.
    Cancelled
        If it was asked to stop.
    """
    check(config)
    opened, problems = read_library(library, on_progress=on_progress, should_stop=should_stop)
    collection = opened.collection(config.encoder)
    report = MirrorReport(collection.set_up.name)
    report.problems += [("library", reason) for reason in problems]
    _check_place(url, opened)
    check_url(url)
    with _mirror_lock(opened, url):
        engine = Engine(url, make=True)
        is_ours = _check_library(engine, opened.id)
        on_progress(Progress(0, None, "looking for changes"))
        manifests, bad = collection.manifests()
        flat, damaged = open_flat(collection, manifests, should_stop=should_stop)
        report.problems += [*bad, *damaged]
        if should_stop():
            raise Cancelled(_STOPPED)
        records = {name: manifest.record for name, manifest in manifests.items()}
        mirror = Mirror(engine, collection.set_up.name, flat, records)
        plan = mirror.plan(is_ours=is_ours)
        entry = _noted(engine, collection, opened.id, plan.tiles)

        def on_tiles(done: int, total: int) -> None:
            on_progress(Progress(done, total, "mirroring"))

        if not mirror.carry_out(plan, on_tiles=on_tiles, should_stop=should_stop):
            raise Cancelled(_STOPPED)
        report.added, report.removed = len(plan.add), len(plan.remove)
        report.tiles = mirror.check_count()
        if entry.way.rows and (plan.add or plan.remove):
            with engine.errors_told():
                mirror.tiles.optimize()  # takes what is new into the index that is there
        if report.tiles and (config.reindex or needs_engine_index(entry.way, report.tiles)):
            way = _indexed(engine, mirror, entry, flat, (on_progress, should_stop))
            entry = replace(entry, way=way)
        report.recall = entry.way.reach(1).recall
    return report


def _check_place(url: str, library: Library) -> None:
    """Raise `UserError` if an engine would lie in the library that it mirrors."""
    path = local_path(url)
    if path is not None and path.expanduser().resolve().is_relative_to(library.folder.resolve()):
        raise UserError(
            f"The engine {url!r} would lie in the library itself. Name a folder beside it."
        )


def _check_library(engine: Engine, library: str) -> bool:
    """Say whether an engine is known to mirror a library of this id.

    Raises
    ------
    UserError
        If it mirrors another one.
    """
    found = {entry.library for entry in engine.entries()} - {""}
    if library and found - {library}:
        raise UserError(
            f"The engine {engine.url!r} mirrors another library (id {min(found)[:8]}, this one is "
            f"{library[:8]}). Name another place, or delete that one first."
        )
    return bool(library) and library in found


def _noted(engine: Engine, collection: CollectionFolder, library: str, changed: int) -> EngineEntry:
    """Note a collection and the tiles that are about to come or go; return its entry."""
    name = collection.set_up.name
    former = next((one for one in engine.entries() if one.set_up.name == name), None)
    way = SearchWay() if former is None else former.way
    if way.rows:  # before they do: after a kill they are counted twice rather than never
        way = replace(way, changed=way.changed + changed)
    known = library or ("" if former is None else former.library)
    entry = EngineEntry(collection.set_up, collection.encoder_given, way, known)
    if entry != former:
        with engine.errors_told():
            engine.put_entry(entry)
    return entry


def _indexed(
    engine: Engine,
    mirror: Mirror,
    entry: EngineEntry,
    flat: Flat,
    told: tuple[OnProgress, ShouldStop],
) -> SearchWay:
    """Make the engine's index anew, measure it, and note how it is searched from now on.

    Meanwhile, and if it is stopped or killed, all tiles are compared: what was measured of the
    former index says nothing of this one.
    """
    on_progress, should_stop = told

    def on_step(done: int, total: int, what: str) -> None:
        on_progress(Progress(done, total, what))

    with engine.errors_told():
        engine.put_entry(replace(entry, way=SearchWay()))
        way = measured_way(mirror.tiles, entry, flat, on_step=on_step, should_stop=should_stop)
        if way is not None:
            engine.put_entry(replace(entry, way=way))
    if way is None:
        raise Cancelled(_STOPPED)
    return way


def _mirror_lock(library: Library, url: str) -> AbstractContextManager[None]:
    """Hold the mirroring into an engine: two at a time would add the same tiles.

    The lock lies in the engine's folder. An object store takes none: there one in the library keeps
    out whoever mirrors the same library to the same place.
    """
    path = local_path(url)
    if path is None:
        digest = hashlib.blake2b(url.rstrip("/").encode(), digest_size=8).hexdigest()
        lock = library.folder / f"mirror-{digest}.lock"
    else:
        lock = make_folder(path.expanduser().absolute()) / "mirror.lock"
    busy = f"The engine {url!r} is being written"
    return hold_lock(lock, busy, "Mirroring needs a lock there.")
