"""Concepts: named sets of examples, searched for again and counted in every slide."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QHeaderView,
    QInputDialog,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_medssl.backend.concept_counts import SlideCount, count_in_slides, write_counts
from napari_medssl.backend.jobs import error_text
from napari_medssl.index.collection import SearchCollection
from napari_medssl.state.search_examples import Example
from napari_medssl.state.search_notes import Concept
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets.similar.notes_keeper import NotesKeeper
from napari_medssl.widgets.similar.session import SimilarSession
from napari_medssl.widgets.similar.slide_places import SlidePlaces
from napari_medssl.widgets.similar.threshold import Threshold

_COLUMNS = ("Slide", "Similar", "of tiles", "mm²")


def count_examples(
    collection: SearchCollection, vectors: NDArray[np.float32], signs: list[bool], threshold: float
) -> list[SlideCount]:
    """Return the counts of all slides for a set of examples; blocks."""
    wanted = np.array(signs)
    direction = collection.combine_vectors(vectors[wanted], vectors[~wanted])
    return count_in_slides(collection, direction, threshold)


def _are_alike(some: tuple[Example, ...], others: tuple[Example, ...]) -> bool:
    """Say whether examples are the same places and pictures, wanted or not."""
    keys = ([(one.area, one.source, one.is_wanted) for one in each] for each in (some, others))
    return next(keys) == next(keys)


class ConceptsPanel(QWidget):
    """A box of concepts, what to do with them, and the table of slides.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(
        self,
        session: SimilarSession,
        places: SlidePlaces,
        notes: NotesKeeper,
        threshold: Threshold,
    ) -> None:
        super().__init__()
        self._session = session
        self._places = places
        self._notes = notes
        self._least = threshold
        self.counts: list[SlideCount] = []
        self._counted = 0.0
        self._of: tuple[Example, ...] = ()  # examples whose counts are shown
        self.background = Background("medssl-similar-count", self)
        self._build()
        notes.changed.connect(self._fill)
        threshold.changed.connect(self._show_threshold)
        session.answered.connect(self._on_answer)
        session.examples_changed.connect(self._on_examples)
        session.collection_changed.connect(self._clear)
        places.masked_changed.connect(self._show_counts)
        self._fill()

    def _build(self) -> None:
        self.box = QComboBox()
        self.box.setToolTip("Concepts of this library: named sets of examples")
        self.box.activated.connect(self._on_chosen)
        keep = PushButton(
            "Keep ...", "Keep the present examples under a name, in the library", self.ask_keep
        )
        drop = PushButton("Forget", "Forget the concept that is chosen", self.drop)
        first = row_of([self.box, keep, drop])
        first.setStretch(0, 1)
        self.threshold = QDoubleSpinBox()
        self.threshold.setRange(-1.0, 1.0)
        self.threshold.setDecimals(3)
        self.threshold.setSingleStep(0.01)
        self.threshold.setKeyboardTracking(False)
        self.threshold.setToolTip(
            "Least similarity of a tile that counts, here and in the heatmap; until one is chosen, "
            "that of the last hit"
        )
        self.threshold.valueChanged.connect(self._on_threshold)
        self.threshold.setAccessibleName("Least similarity that counts")
        count = PushButton(
            "Count in all slides", "Count tiles and area above it in every slide", self.count
        )
        save = PushButton("CSV ...", "Write the table", self.ask_save)
        second = row_of([QLabel("≥"), self.threshold, count, save])
        second.setStretch(2, 1)
        self.table = QTableWidget(0, len(_COLUMNS))
        self.table.setHorizontalHeaderLabels(_COLUMNS)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.setToolTip("Tiles and area of each slide that are at least so similar")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(first)
        layout.addLayout(second)
        layout.addWidget(self.table, 1)

    # -- concepts --------------------------------------------------------------------------------

    def _fill(self) -> None:
        former = self.box.currentText()
        self.box.clear()
        for concept in self._notes.concepts():
            self.box.addItem(concept.name, concept)
        self.box.setPlaceholderText("no concept yet" if not self.box.count() else "choose one")
        self._name_concept(former)

    def _name_concept(self, liked: str = "") -> None:
        """Name the concept whose examples are searched with, none if they are others by now."""
        liked = liked or self.box.currentText()
        rows = [
            row
            for row in range(self.box.count())
            if _are_alike(self.box.itemData(row).examples, self._session.examples)
        ]
        rows.sort(key=lambda row: self.box.itemText(row) != liked)
        self.box.setCurrentIndex(rows[0] if rows else -1)

    def _on_chosen(self, row: int) -> None:
        concept = self.box.itemData(row)
        if isinstance(concept, Concept):
            self.use(concept)

    def use(self, concept: Concept) -> None:
        """Search with the examples of a concept."""
        self._session.set_examples(concept.examples)
        if concept.threshold is not None:
            self._least.choose(concept.threshold)
        self._name_concept()

    def ask_keep(self) -> None:
        """Ask for a name and keep the present examples."""
        if not any(one.is_wanted for one in self._session.examples):
            self.told.emit("There is no + example to keep. Pick a tile first.", True)
            return
        name, is_given = QInputDialog.getText(self, "Keep as concept", "Name of the concept:")
        if is_given and name.strip():
            self.keep(name.strip())

    def keep(self, name: str) -> None:
        """Keep the present examples under a name."""
        self._notes.keep_concept(name, self._least.value)
        self._name_concept(name)

    def drop(self) -> None:
        """Forget the concept that is chosen."""
        if self.box.currentText():
            self._notes.drop_concept(self.box.currentText())

    # -- counting --------------------------------------------------------------------------------

    def _on_answer(self) -> None:
        """Propose the similarity of the last hit where nothing was chosen."""
        hits = self._session.hits
        if hits:
            self._least.propose(hits[-1].similarity)

    def _on_threshold(self, value: float) -> None:
        self._least.choose(value)

    def _show_threshold(self) -> None:
        former = self.threshold.blockSignals(True)
        self.threshold.setValue(self._least.value)
        self.threshold.blockSignals(former)

    def _on_examples(self) -> None:
        """Take away counts and name of other examples: they would be read as the present ones'."""
        self._name_concept()
        if self.counts and self._of != self._session.examples:
            self._drop_counts()

    def count(self) -> None:
        """Count the tiles of all slides that are like the examples."""
        collection, examples = self._session.collection, self._session.examples
        if collection is None or not any(one.is_wanted for one in examples):
            self.told.emit("There is nothing to count: choose a concept or pick a tile.", True)
            return
        vectors = np.array([one.vector for one in examples], np.float32)
        signs = [one.is_wanted for one in examples]
        threshold = self._least.value
        work = partial(count_examples, collection, vectors, signs, threshold)
        self.told.emit("Counting ...", False)
        take = partial(self._take, threshold, examples)
        self.background.submit("count", work, take, self._refuse)

    def _take(
        self, threshold: float, examples: tuple[Example, ...], counts: list[SlideCount]
    ) -> None:
        self.told.emit("", False)
        if examples != self._session.examples:
            return  # others were picked meanwhile
        self.counts, self._counted, self._of = counts, threshold, examples
        self._show_counts()

    def _refuse(self, error: BaseException) -> None:
        self.told.emit(error_text(error), True)

    def _clear(self) -> None:
        self._least.choose(None)
        self._drop_counts()

    def _drop_counts(self) -> None:
        self.background.drop("count")
        self.counts = []
        self._show_counts()

    def _show_counts(self) -> None:
        self.table.setRowCount(len(self.counts))
        for row, one in enumerate(self.counts):
            area = "" if one.area_mm2 is None else f"{one.area_mm2:.3g}"
            values = (self._places.title(one.slide), str(one.count), str(one.tiles), area)
            for column, text in enumerate(values):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.table.setItem(row, column, item)

    def ask_save(self) -> None:
        """Ask for a file and write the table."""
        if not self.counts:
            self.told.emit("There is no table yet. Count first.", True)
            return
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Write the table", "counts.csv", "CSV (*.csv)"
        )
        if chosen:
            self.save(Path(chosen))

    def save(self, out: Path) -> None:
        """Write the table in a thread."""
        names = [self._places.title(one.slide) for one in self.counts]
        work = partial(write_counts, list(self.counts), names, self._counted, out)
        self.background.submit("save", work, partial(self._on_saved, out.name), self._refuse)

    def _on_saved(self, name: str, _: None) -> None:
        self.told.emit(f"{name} is written.", False)
