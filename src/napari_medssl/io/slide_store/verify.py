"""Compare a finished store with its manifest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.slide_store.journal import Receipt
from napari_medssl.io.slide_store.manifest import MANIFEST, Manifest, read_manifest

OnFile = Callable[[int, int], None]
"""Called with how many files are checked and how many there are."""

_IGNORED = frozenset((MANIFEST, ".DS_Store", "Thumbs.db", "desktop.ini"))


@dataclass(frozen=True)
class VerifyReport:
    """What is wrong with a store, as places below it; nothing if all three are empty."""

    checked: int
    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the store is as it was written."""
        return not (self.missing or self.damaged or self.unexpected)


def verify_store(
    store: str | os.PathLike[str],
    *,
    on_file: OnFile = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
    threads: int = 2,
) -> VerifyReport | None:
    """Read every file of a store and compare it with the manifest.

    Returns
    -------
    The report; None if `should_stop` said so before the end.

    Raises
    ------
    UserError
        If there is no store, or it has no manifest because another program wrote it.
    """
    path = Path(store)
    manifest = _due_manifest(path)
    bad = check_files(path, manifest.files, on_file, should_stop, threads)
    if bad is None:
        return None
    missing = tuple(place for place in bad if not (path / place).is_file())
    damaged = tuple(place for place in bad if place not in missing)
    found = set(_places(path)) - _IGNORED - set(manifest.files)
    return VerifyReport(len(manifest.files), missing, damaged, tuple(sorted(found)))


def check_sizes(store: Path, manifest: Manifest) -> list[str]:
    """Return the places that are missing or of another size: quick, for each opening."""
    return [
        place for place, receipt in manifest.files.items() if _size(store / place) != receipt.size
    ]


def check_files(
    folder: Path,
    receipts: Mapping[str, Receipt],
    on_file: OnFile,
    should_stop: Callable[[], bool],
    threads: int,
) -> list[str] | None:
    """Return the places whose files do not fit their receipts, sorted; None if told to stop."""
    bad: list[str] = []
    todo = iter(sorted(receipts.items()))
    done = 0
    running: dict[Future[bool], str] = {}
    with ThreadPoolExecutor(threads, "verify") as pool:
        while True:
            is_stopped = should_stop()
            while not is_stopped and len(running) < 2 * threads:
                place, receipt = next(todo, ("", None))
                if receipt is None:
                    break
                running[pool.submit(_fits, folder / place, receipt)] = place
            if not running:
                return None if is_stopped else sorted(bad)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                place = running.pop(future)
                if not future.result():
                    bad.append(place)
                done += 1
                on_file(done, len(receipts))


def _due_manifest(path: Path) -> Manifest:
    if not path.is_dir():
        raise UserError(f"Cannot verify {str(path)!r}: there is no such folder.")
    manifest = read_manifest(path)
    if manifest is None:
        raise UserError(
            f"Cannot verify {path.name!r}: it has no {MANIFEST}, so it was not made by "
            "`medssl slide convert`."
        )
    return manifest


def _fits(path: Path, receipt: Receipt) -> bool:
    try:
        return _size(path) == receipt.size and Receipt.of_file(path) == receipt
    except OSError:
        return False


def _size(path: Path) -> int:
    """Return the size of a plain file, -1 if there is none."""
    try:
        return path.stat().st_size if path.is_file() and not path.is_symlink() else -1
    except OSError:
        return -1


def _places(store: Path) -> Iterator[str]:
    for folder, _, names in os.walk(store):
        for name in names:
            yield (Path(folder) / name).relative_to(store).as_posix()
