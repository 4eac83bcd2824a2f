"""The files of one slide between a copy on this machine and an object store, and its lock."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.index.object_store import ObjectStore
from napari_medssl.index.remote_state import json_object
from napari_medssl.index.slide_record import MANIFEST, SlideManifest
from napari_medssl.index.slide_writer import PARTIAL, remove_folder
from napari_medssl.io.files import flush_folder, write_all_whole, write_whole
from napari_medssl.io.slide_store.journal import Receipt

_LOCK = "lock.json"


def manifest_place(collection: str, fingerprint: str) -> str:
    """Return the place of a manifest in the store."""
    return f"{collection}/manifests/{fingerprint}.json"


def slide_place(collection: str, fingerprint: str, content: str) -> str:
    """Return the place in the store below which the files of a slide are."""
    return f"{collection}/slides/{fingerprint}-{content}"


def checked_files(folder: Path, manifest: SlideManifest, place: str) -> dict[str, bytes]:
    """Return the files of a slide by their places in the store; UserError if one is damaged."""
    files = {}
    for one, due in manifest.files.items():
        try:
            data = (folder / one).read_bytes()
        except OSError:
            data = b""
        if Receipt.of_bytes(data) != due:
            raise UserError(
                f"{one!r} of slide {folder.name} is not as it was written, so the slide is not "
                "published. Check the disk, and index it again with --reindex."
            )
        files[f"{place}/{one}"] = data
    return files


@contextmanager
def hold_store(store: ObjectStore, copy: str) -> Iterator[None]:
    """Hold a library in an object store; a killed run leaves its lock to the next of its copy.

    Raises
    ------
    UserError
        If a program with another copy holds it.
    """
    data = json.dumps({"copy": copy, "pid": os.getpid(), "host": platform.node()}).encode()
    if not store.create(_LOCK, data):
        holder = json_object(store.read(_LOCK))
        if holder.get("copy") != copy:
            raise UserError(
                f"The library {store.name!r} is being written by another program "
                f"(process {holder.get('pid')} on {holder.get('host')}). Wait for its end; if "
                f"it was killed and will not go on, delete {store.name + '/' + _LOCK!r}."
            )
        store.write({_LOCK: data})
    try:
        yield
    finally:
        store.remove(_LOCK)


def fetch_slide(
    store: ObjectStore, library: Path, place: tuple[str, str], manifest: SlideManifest
) -> bool:
    """Put a slide of the store into a copy, whole or not at all; what stood there is replaced.

    Parameters
    ----------
    store
        Where it is.
    library
        Folder of the copy.
    place
        Collection and fingerprint.
    manifest
        The slide's, as the store has it.

    Returns
    -------
    False if the store has not all of its files: another slide took its place meanwhile.

    Raises
    ------
    UserError
        If a file is not as it was written, or the copy cannot be.
    """
    collection, fingerprint = place
    source = slide_place(collection, fingerprint, manifest.content)
    found = store.read_all([f"{source}/{one}" for one in manifest.files])
    if found is None:
        return False
    files = {one: found[f"{source}/{one}"] for one in manifest.files}
    for one, due in manifest.files.items():
        if Receipt.of_bytes(files[one]) != due:
            raise UserError(
                f"{one!r} of slide {fingerprint} in {store.name!r} is not as it was written; the "
                "slide is left out. Index it again with --reindex."
            )
    folder = library / collection / "slides" / fingerprint
    begun = folder.with_name(f"{fingerprint}-fetched{PARTIAL}")
    remove_folder(begun)
    for parent in {(begun / name).parent for name in files}:
        parent.mkdir(parents=True, exist_ok=True)
    write_all_whole({begun / one: content for one, content in files.items()})
    write_whole(begun / MANIFEST, manifest.to_bytes())
    remove_folder(folder)
    os.rename(begun, folder)
    flush_folder(folder.parent)
    return True
