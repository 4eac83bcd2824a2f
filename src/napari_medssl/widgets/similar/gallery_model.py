"""The hits as a Qt list: picture, similarity, slide, place."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, Qt

from napari_medssl.backend.stain_rank import HitStain
from napari_medssl.index.results import Hit, Tile
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets.similar.notes_keeper import NotesKeeper
from napari_medssl.widgets.similar.session import SimilarSession, area_of
from napari_medssl.widgets.similar.slide_places import SlidePlaces
from napari_medssl.widgets.similar.tile_pictures import area_key

HIT_ROLE = int(Qt.ItemDataRole.UserRole)
SIMILARITY_ROLE = HIT_ROLE + 1
MARK_ROLE = HIT_ROLE + 2
STAIN_ROLE = HIT_ROLE + 3
"""True for a hit that is due to stain."""


class GalleryModel(QAbstractListModel):
    """One row per hit, best first."""

    def __init__(
        self,
        session: SimilarSession,
        places: SlidePlaces,
        thumbnails: Thumbnails,
        notes: NotesKeeper,
        parent: Any = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._places = places
        self._thumbnails = thumbnails
        self._notes = notes
        notes.changed.connect(self._touch_all)
        self._hits: tuple[Hit, ...] = ()
        self._rows: dict[str, int] = {}
        self._stains: dict[Tile, HitStain] = {}
        session.answered.connect(self._on_answer)
        session.ranked.connect(self._on_ranked)
        places.masked_changed.connect(self._touch_all)
        thumbnails.ready.connect(self._on_picture)

    def hit(self, row: int) -> Hit | None:
        """Return the hit of a row, None if there is none."""
        return self._hits[row] if 0 <= row < len(self._hits) else None

    def _on_answer(self) -> None:
        self.beginResetModel()
        self._read_stains()
        self._hits = self._session.hits
        self._rows = {area_key(area_of(hit.tile)): row for row, hit in enumerate(self._hits)}
        self.endResetModel()

    def _on_ranked(self) -> None:
        if self._hits == self._session.hits:
            self._read_stains()
            self._touch_all()
        else:
            self._on_answer()

    def _read_stains(self) -> None:
        answer = self._session.answer
        self._stains = {} if answer is None else answer.stains()

    def _on_picture(self, key: str) -> None:
        if key in self._rows:
            index = self.index(self._rows[key])
            self.dataChanged.emit(index, index)

    def _touch_all(self) -> None:
        if self._hits:
            self.dataChanged.emit(self.index(0), self.index(len(self._hits) - 1))

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of hits."""
        return 0 if parent is not None and parent.isValid() else len(self._hits)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Return what a view shows of a hit."""
        hit = self.hit(index.row()) if index.isValid() else None
        if hit is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._places.title(hit.tile.slide)
        if role == Qt.ItemDataRole.DecorationRole:
            return self._thumbnails.get(area_key(area_of(hit.tile)))
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(hit)
        if role == HIT_ROLE:
            return hit
        if role == SIMILARITY_ROLE:
            stain = self._stains.get(hit.tile)
            is_without = stain is not None and self._session.takes_stain_away
            return f"{stain.similarity if stain and is_without else hit.similarity:.3f}"
        if role == STAIN_ROLE:
            stain = self._stains.get(hit.tile)
            return stain is not None and stain.is_due
        if role == MARK_ROLE:
            return self._notes.mark_of(area_of(hit.tile))
        return None

    def _tip(self, hit: Hit) -> str:
        record = self._session.records.get(hit.tile.slide)
        place = f"x {hit.tile.x}, y {hit.tile.y}"
        lines = [
            self._places.title(hit.tile.slide),
            f"similarity {hit.similarity:.4f} · {place} · {hit.tile.size} px",
        ]
        if record is not None and record.patient and not self._places.is_masked:
            lines.append(f"patient {record.patient}")
        stain = self._stains.get(hit.tile)
        if stain is not None:
            lines.append(f"{stain.similarity:.4f} with the stain taken away")
        if stain is not None and stain.is_due:
            lines.append(
                f"due to stain: with it goes {stain.share:.0%} of how far this tile stands out"
            )
        return "\n".join([*lines, "Click to go there, + or − to search on"])
