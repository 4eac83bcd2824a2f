"""Export the hits: GeoJSON for QuPath, CSV, a contact sheet, one HTML file. In a thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QMenu, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.export_hits import (
    NamedHit,
    write_contact_sheet,
    write_hits_csv,
    write_hits_geojson,
    write_hits_html,
)
from napari_medssl.backend.jobs import error_text
from napari_medssl.backend.open_slides import OpenSlides
from napari_medssl.state.search_examples import Area, Example
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import add_entry
from napari_medssl.widgets.similar.notes_keeper import NotesKeeper
from napari_medssl.widgets.similar.session import SimilarSession, area_of
from napari_medssl.widgets.similar.slide_places import SlidePlaces, file_name
from napari_medssl.widgets.similar.tile_pictures import (
    SIDE,
    Picture,
    read_area,
    read_picture,
)

_KINDS = (
    ("geojson", "GeoJSON for QuPath ...", "The hits on the slide in front, as detections"),
    ("csv", "CSV ...", "All hits as a table"),
    ("png", "Contact sheet ...", "All hits as one picture"),
    ("html", "HTML page ...", "Examples and hits in one file that opens anywhere"),
)


@dataclass(frozen=True)
class Source:
    """What a picture is read from: an area and where its slide may lie, or a picture file."""

    area: Area | None
    candidates: tuple[str, ...]
    path: str = ""


@dataclass(frozen=True)
class Export:
    """Everything that is written, taken at one moment."""

    hits: tuple[NamedHit, ...]
    sources: tuple[Source, ...]
    examples: tuple[tuple[str, bool, Source], ...]


def write_export(slides: OpenSlides, export: Export, out: Path) -> None:
    """Write in the format of the suffix; blocks. UserError if it cannot be written."""
    kind = out.suffix.lower()
    if kind == ".geojson":
        write_hits_geojson(export.hits, out)
    elif kind == ".csv":
        write_hits_csv(export.hits, out)
    elif kind == ".png":
        write_contact_sheet(export.hits, _pictures(slides, export.sources), out)
    else:
        shown = _pictures(slides, [source for _, _, source in export.examples])
        examples = [
            (name, is_wanted, picture)
            for (name, is_wanted, _), picture in zip(export.examples, shown, strict=True)
        ]
        write_hits_html(export.hits, _pictures(slides, export.sources), examples, out)


def _pictures(slides: OpenSlides, sources: Sequence[Source]) -> list[Picture | None]:
    """Read pictures; None where one cannot be read."""
    found: list[Picture | None] = []
    for source in sources:
        try:
            if source.area is None:
                found.append(read_picture(source.path, SIDE))
            else:
                found.append(read_area(slides, source.area, source.candidates, SIDE))
        except UserError:
            found.append(None)
    return found


class ExportMenu(QObject):
    """Asks where to and writes.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(
        self, session: SimilarSession, places: SlidePlaces, notes: NotesKeeper, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._places = places
        self._notes = notes
        self._parent = parent
        self.slides = OpenSlides()
        self.background = Background("medssl-similar-export", self)
        self.menu = QMenu(parent)
        for kind, title, tip in _KINDS:
            add_entry(self.menu, title, tip, partial(self.ask, kind))

    def ask(self, kind: str) -> None:
        """Ask for a file and write the hits into it."""
        if not self._session.hits:
            self.told.emit("There is no hit to export. Search for something first.", True)
            return
        chosen, _ = QFileDialog.getSaveFileName(
            self._parent, "Export the hits", f"hits.{kind}", f"*.{kind}"
        )
        if chosen:
            path = Path(chosen)
            self.write(path if path.suffix.lower() == f".{kind}" else Path(f"{path}.{kind}"))

    def write(self, out: Path) -> None:
        """Write the hits in a thread, in the format of the suffix."""
        hits = self._session.hits
        if out.suffix.lower() == ".geojson":
            front = self._places.front
            hits = tuple(one for one in hits if front and one.tile.slide == front.fingerprint)
            if not hits:
                self.told.emit("No hit lies on the slide in front. Fly to one first.", True)
                return
        named = []
        answer = self._session.answer
        stains = {} if answer is None else answer.stains()
        for hit in hits:
            record = self._session.records.get(hit.tile.slide)
            is_hidden = self._places.is_masked or record is None
            place, patient = (
                ("", "") if is_hidden or record is None else (record.path, record.patient)
            )
            mark = self._notes.mark_of(area_of(hit.tile))
            title, stain = self._places.title(hit.tile.slide), stains.get(hit.tile)
            named.append(NamedHit(hit, title, place, patient, mark, stain))
        sources = tuple(self._source(area_of(one.hit.tile)) for one in named)
        examples = tuple(
            (self._name(one), one.is_wanted, self._source(one.area, one.source))
            for one in self._session.examples
        )
        work = partial(write_export, self.slides, Export(tuple(named), sources, examples), out)
        self.told.emit(f"Writing {out.name} ...", False)
        self.background.submit("export", work, partial(self._on_done, out.name), self._refuse)

    def _name(self, example: Example) -> str:
        if example.area is not None:
            return self._places.title(example.area.slide)
        return "picture" if self._places.is_masked else file_name(example.source)

    def _source(self, area: Area | None, path: str = "") -> Source:
        candidates = () if area is None else self._places.candidates(area.slide)
        return Source(area, candidates, path)

    def _on_done(self, name: str, _: None) -> None:
        self.told.emit(f"{name} is written.", False)

    def _refuse(self, error: BaseException) -> None:
        self.told.emit(self._places.masked_text(error_text(error)), True)
