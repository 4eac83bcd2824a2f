"""Which slides a collection takes in: those that are new to it, or are to be indexed anew."""

from __future__ import annotations

from napari_medssl._errors import UserError
from napari_medssl.backend.encoders import EncoderInfo
from napari_medssl.backend.index_config import IndexConfig, IndexReport
from napari_medssl.backend.library_place import WrittenLibrary
from napari_medssl.backend.patients import Patients
from napari_medssl.index.library import CollectionFolder, Library
from napari_medssl.index.set_up import SetUp
from napari_medssl.index.slide_record import SlideRecord, read_manifest, update_manifest
from napari_medssl.index.slide_writer import remove_folder
from napari_medssl.io.slides.places import local_path


class SlideIntake:
    """Decides for each slide whether it is to be indexed, and notes what became of it.

    Parameters
    ----------
    collection
        Which one.
    library
        That it is of; told of what becomes of a slide.
    config
        Whether slides are indexed anew.
    patients
        Whose they are.
    report
        Filled in.
    """

    def __init__(
        self,
        collection: CollectionFolder,
        library: WrittenLibrary,
        config: IndexConfig,
        patients: Patients,
        report: IndexReport,
    ) -> None:
        self._collection, self._config, self._patients = collection, config, patients
        self._library, self._report = library, report
        self._known = {
            manifest.record.path: fingerprint
            for fingerprint, manifest in collection.manifests()[0].items()
        }

    def tell_mismatch(self, info: EncoderInfo) -> None:
        """Remark on slides of the library that were made by another set-up of the same encoder."""
        library = Library(self._collection.folder.parent)
        others = [
            (one.set_up, difference)
            for one in library.collections
            if one.set_up.encoder == info.name and (difference := _difference(one.set_up, info))
        ]
        if others and not self._collection.fingerprints():
            self._report.remarks.append(
                f"The library holds embeddings of another encoder {info.name!r} "
                f"({others[0][1]}, in {others[0][0].name!r}); the slides are indexed beside them."
            )

    def known_at(self, place: str) -> str:
        """Return the fingerprint of the slide that was indexed from a place, "" if none was."""
        return self._known.get(place, "")

    def admit(self, record: SlideRecord, name: str, path: str) -> SlideRecord | None:
        """Return the record to index a slide with, None if it is there already.

        Parameters
        ----------
        record
            The slide as it was seen; whose it is is found out.
        name, path
            Of the slide, for people; `path` as it was given.

        Raises
        ------
        UserError
            If another slide was indexed from this place, and is not to be replaced.
        """
        patient = self._patients.of(record.path)
        folder = self._collection.slide_folder(record.fingerprint)
        if folder.is_dir() and not self._config.reindex:
            manifest = read_manifest(folder)
            # Of two copies the first one counts, as long as it is there.
            kept = manifest.record.path if _is_there(manifest.record.path) else record.path
            if update_manifest(folder, manifest, kept, patient or manifest.record.patient):
                self._library.publish(self._collection, record.fingerprint)
            self._report.skipped.append(path)
            return None
        former = self.known_at(record.path)
        if former not in ("", record.fingerprint) and not self._config.reindex:
            raise UserError(
                f"{name!r} is another slide than the one that was indexed from this path. "
                "Give --reindex to put this one in its place, or put the former file back."
            )
        return SlideRecord(
            record.fingerprint, record.path, patient, record.dimensions, mpp=record.mpp
        )

    def settle(self, record: SlideRecord, path: str) -> None:
        """Note that a slide was indexed; the one that it replaces is taken out."""
        self._library.publish(self._collection, record.fingerprint)
        former = self.known_at(record.path)
        if former not in ("", record.fingerprint):
            self._library.withdraw(self._collection, former)
            remove_folder(self._collection.slide_folder(former))
        self._known[record.path] = record.fingerprint
        self._report.indexed.append(path)


def _difference(set_up: SetUp, info: EncoderInfo) -> str:
    """Return what an encoder of one name has otherwise, "" if nothing."""
    if set_up.sha256 != info.sha256:
        return "other weights"
    if set_up.preprocessing == info.preprocessing:
        return ""
    return f"{set_up.preprocessing or 'mean and std not noted'}; now {info.preprocessing}"


def _is_there(place: str) -> bool:
    path = local_path(place)
    try:
        return path is None or path.exists()
    except (OSError, ValueError):
        return False
