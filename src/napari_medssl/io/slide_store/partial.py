"""The folder of an unfinished store: begun, found again after a kill, finished."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from napari_medssl._errors import UserError
from napari_medssl.io.files import TEMPORARY, flush_folder, write_all_whole, write_whole
from napari_medssl.io.slide_store.errors import ConversionStopped, StoreTakenError
from napari_medssl.io.slide_store.journal import (
    JOURNAL,
    Receipt,
    Written,
    begin_journal,
    read_written,
)
from napari_medssl.io.slide_store.manifest import MANIFEST, Manifest, read_manifest
from napari_medssl.io.slide_store.metadata import store_documents
from napari_medssl.io.slide_store.placing import check_same
from napari_medssl.io.slide_store.plan import FindTissue, StorePlan, StoreSettings, touch_tissue
from napari_medssl.io.slide_store.source import SlideSource
from napari_medssl.io.slide_store.verify import OnFile, check_files


class Partial:
    """The unfinished store beside `out`; the caller holds the lock.

    Attributes
    ----------
    folder
        Where it is.
    plan
        Its levels and shards; final after `open`.
    receipts
        What is on the disk so far, by key; the writer adds to it.
    """

    def __init__(
        self, out: Path, source: SlideSource, settings: StoreSettings, threads: int
    ) -> None:
        self.out, self.source, self.settings = out, source, settings
        self.folder = out.with_name(f"{out.name}.partial")
        self.plan = StorePlan.of_size(source.width, source.height)
        self.receipts: dict[str, Receipt] = {}
        self._threads = threads

    def open(
        self,
        find_tissue: FindTissue | None,
        *,
        on_checked: OnFile,
        should_stop: Callable[[], bool],
    ) -> None:
        """Begin the folder, or take up what is in it after checking every hash.

        Raises
        ------
        StoreTakenError
            If the folder holds something else.
        ConversionStopped
            If told to stop while checking.
        """
        written = self._written()
        if written is None:
            self._begin(find_tissue)
        else:
            self._sweep()
            self._take_up(written, on_checked, should_stop)
        self._write_documents()

    def finish(self, on_checked: OnFile, should_stop: Callable[[], bool]) -> None:
        """Check every file, write the manifest and give the folder its name.

        Raises
        ------
        UserError
            If the disk gave back something else than was written.
        """
        files = {**self.receipts, **self._documents}
        bad = check_files(self.folder, files, on_checked, should_stop, self._threads)
        if bad is None:
            raise ConversionStopped
        if bad:
            raise UserError(
                f"{len(bad)} of {len(files)} files of {self.folder.name!r} are not on the disk as "
                f"they were written (first {bad[0]!r}). Check the disk; the same command makes "
                "them again."
            )
        manifest = Manifest(
            self.source.slide.fingerprint, self.settings.to_json(), self.plan.left_out, files
        )
        write_whole(self.folder / MANIFEST, manifest.to_bytes())
        # From here on the manifest says what the journal did.
        (self.folder / JOURNAL).unlink(missing_ok=True)
        _flush_folders(self.folder)
        try:
            os.rename(self.folder, self.out)
        except OSError as error:
            raise UserError(
                f"Cannot rename {self.folder.name!r} to {self.out.name!r}: "
                f"{error.strerror or error}. Give the same command again."
            ) from error
        flush_folder(self.out.parent)

    def _written(self) -> Written | None:
        """Return what an earlier run left, None if nothing; refuse what is not ours."""
        if not os.path.lexists(self.folder):
            return None
        found = read_written(self.folder) if self.folder.is_dir() else None
        if found is None and self.folder.is_dir():
            found = self._from_manifest()
        if found is not None:
            check_same(
                str(self.folder),
                found.header.get("fingerprint"),
                found.header.get("settings"),
                self.source.slide,
                self.settings,
            )
            return found
        if not self.folder.is_dir() or any(
            not path.name.startswith(TEMPORARY) for path in self.folder.iterdir()
        ):
            raise StoreTakenError(
                f"{str(self.folder)!r} is in the way and holds no unfinished store; it was not "
                "touched. Move it away, or choose another --out."
            )
        self._sweep()
        return None

    def _from_manifest(self) -> Written | None:
        """Return the content of a store that was killed between its last steps."""
        try:
            manifest = read_manifest(self.folder)
        except UserError:
            return None
        if manifest is None:
            return None
        kept = [key for key in manifest.files if key.startswith("0/c/")]
        header: dict[str, Any] = {
            "fingerprint": manifest.fingerprint,
            "settings": dict(manifest.settings),
            "kept": [[int(number) for number in key.split("/")[3:]] for key in kept],
        }
        begin_journal(self.folder, header, manifest.files)  # finishing takes it away again
        return Written(header, dict(manifest.files))

    def _begin(self, find_tissue: FindTissue | None) -> None:
        if self.settings.tissue_only:
            self.plan = self._tissue_plan(find_tissue)
        header: dict[str, Any] = {
            "fingerprint": self.source.slide.fingerprint,
            "settings": self.settings.to_json(),
            "kept": np.argwhere(self.plan.kept).tolist(),
        }
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(
                f"Cannot make the folder {str(self.folder)!r}: {error.strerror or error}."
            ) from error
        begin_journal(self.folder, header)

    def _tissue_plan(self, find_tissue: FindTissue | None) -> StorePlan:
        if find_tissue is None:
            raise ValueError("tissue_only needs find_tissue")
        mask, downsample = find_tissue(self.source.slide)
        step = self.source.step
        plan = touch_tissue(self.plan, mask, (downsample / step[0], downsample / step[1]))
        if not plan.kept.any():
            raise UserError(
                f"No tissue was found on {self.source.slide.name!r}, so there is nothing to "
                "convert. Leave out --tissue-only to convert all of it."
            )
        return plan

    def _take_up(
        self, written: Written, on_checked: OnFile, should_stop: Callable[[], bool]
    ) -> None:
        try:
            self.plan = self.plan.only(tuple(place) for place in written.header["kept"])
        except (KeyError, TypeError, ValueError) as error:
            raise StoreTakenError(
                f"The journal in {str(self.folder)!r} is damaged. Delete that folder to begin "
                "again, or choose another --out."
            ) from error
        due = {shard.key for shard in self.plan.shards()}
        receipts = {key: value for key, value in written.receipts.items() if key in due}
        bad = check_files(self.folder, receipts, on_checked, should_stop, self._threads)
        if bad is None:
            raise ConversionStopped
        self.receipts = {key: value for key, value in receipts.items() if key not in set(bad)}

    def _write_documents(self) -> None:
        documents = store_documents(self.source, self.plan, self.settings)
        self._documents = {place: Receipt.of_bytes(data) for place, data in documents.items()}
        folders = {self.folder / shard.key for shard in self.plan.shards()}
        try:
            for folder in {path.parent for path in folders}:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"Cannot make a folder in {str(self.folder)!r}: {error.strerror or error}."
            ) from error
        write_all_whole({self.folder / place: data for place, data in documents.items()})

    def _sweep(self) -> None:
        """Remove half-written files that a kill left."""
        for folder, _, names in os.walk(self.folder):
            for name in names:
                if name.startswith(TEMPORARY):
                    with suppress(OSError):
                        (Path(folder) / name).unlink()


def _flush_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        flush_folder(Path(folder))
