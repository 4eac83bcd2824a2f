"""Concepts: named sets of examples, searched for again and counted in every slide."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QInputDialog,
    QLabel,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from napari_medssl.backend.concept_counts import SlideCount, count_examples, write_counts
from napari_medssl.backend.jobs import error_text
from napari_medssl.state.search_examples import Example
from napari_medssl.state.search_notes import Concept
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets.similar.counts_table import CountsTable
from napari_medssl.widgets.similar.notes_keeper import NotesKeeper
from napari_medssl.widgets.similar.session import SimilarSession
from napari_medssl.widgets.similar.slide_places import SlidePlaces
from napari_medssl.widgets.similar.threshold import Threshold

_AGAIN_MS = 200  # until a threshold that moves is counted by


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
        self._is_counting = False  # whether the person was told so
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.setInterval(_AGAIN_MS)
        self._again.timeout.connect(self._submit)
        self.background = Background("medssl-similar-count", self)
        self._build()
        notes.changed.connect(self._fill)
        threshold.changed.connect(self._show_threshold)
        session.answered.connect(self._on_answer)
        session.examples_changed.connect(self._on_examples)
        session.collection_changed.connect(self._clear)
        session.slides_changed.connect(self._count_again)
        places.masked_changed.connect(self._show_counts)
        self._fill()

    def _build(self) -> None:
        self.box = QComboBox()
        self.box.setToolTip("Concepts of this library: named sets of examples")
        self.box.activated.connect(self._on_chosen)
        keep = PushButton(
            "Keep ...", "Keep the present examples under a name, in the library", self.ask_keep
        )
        drop = PushButton("Forget", "Forget the concept that is chosen", self.ask_drop)
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
        self.table = CountsTable()
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
        if is_given and name.strip() and self._may_replace(name.strip()):
            self.keep(name.strip())

    def _may_replace(self, name: str) -> bool:
        former = [one for one in self._notes.concepts() if one.name == name]
        if not former or _are_alike(former[0].examples, self._session.examples):
            return True
        return self._may("Keep as concept", f"There is a concept {name!r}. Replace its examples?")

    def _may(self, title: str, question: str) -> bool:
        yes = QMessageBox.StandardButton.Yes
        return bool(QMessageBox.question(self, title, question) == yes)

    def keep(self, name: str) -> None:
        """Keep the present examples under a name."""
        self._notes.keep_concept(name, self._least.value)
        self._name_concept(name)

    def ask_drop(self) -> None:
        """Ask whether to forget the concept that is chosen."""
        name = self.box.currentText()
        if not name:
            self.told.emit("No concept is chosen.", True)
        elif self._may("Forget a concept", f"Forget the concept {name!r}?"):
            self.drop()

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
        if self._counted != self._least.value:
            self._count_again()

    def _on_examples(self) -> None:
        """Take away counts and name of other examples: they would be read as the present ones'."""
        self._name_concept()
        if self.counts and self._of != self._session.examples:
            self._drop_counts()

    def count(self) -> None:
        """Count the tiles of all slides that are like the examples."""
        if self._session.question() is None:
            self.told.emit("There is nothing to count: choose a concept or pick a tile.", True)
            return
        self._is_counting = True
        self.told.emit("Counting ...", False)
        self._submit()

    def _count_again(self) -> None:
        """Count a moment later, by another threshold or in other slides."""
        if self.counts:
            self.table.setEnabled(False)  # what it shows holds no more
            self._again.start()

    def _submit(self) -> None:
        collection, examples = self._session.collection, self._session.examples
        if collection is None:
            return
        vectors = np.array([one.vector for one in examples], np.float32)
        signs = [one.is_wanted for one in examples]
        threshold = self._least.value
        work = partial(count_examples, collection, vectors, signs, threshold)
        take = partial(self._take, threshold, examples)
        self.background.submit("count", work, take, self._refuse)

    def _take(
        self, threshold: float, examples: tuple[Example, ...], counts: list[SlideCount]
    ) -> None:
        self._end_counting()
        if examples != self._session.examples:
            return  # others were picked meanwhile
        self.counts, self._counted, self._of = counts, threshold, examples
        self._show_counts()
        if threshold != self._least.value:
            self._count_again()  # it was moved meanwhile

    def _end_counting(self) -> None:
        if self._is_counting:
            self._is_counting = False
            self.told.emit("", False)

    def _refuse(self, error: BaseException) -> None:
        self._is_counting = False
        self.told.emit(error_text(error), True)

    def _clear(self) -> None:
        self._least.choose(None)
        self._drop_counts()

    def _drop_counts(self) -> None:
        self._again.stop()
        self.background.drop("count")
        self._end_counting()
        self.counts = []
        self._show_counts()

    def _show_counts(self) -> None:
        self.table.fill(self.counts, self._places.title)

    def ask_save(self) -> None:
        """Ask for a file and write the table."""
        if not self.counts:
            self.told.emit("There is no table yet. Count first.", True)
            return
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Write the table", "counts.csv", "CSV (*.csv)"
        )
        if chosen:
            path = Path(chosen)
            self.save(path if path.suffix.lower() == ".csv" else Path(f"{path}.csv"))

    def save(self, out: Path) -> None:
        """Write the table in a thread."""
        names = [self._places.title(one.slide) for one in self.counts]
        work = partial(write_counts, list(self.counts), names, self._counted, out)
        self.background.submit("save", work, partial(self._on_saved, out.name), self._refuse)

    def _on_saved(self, name: str, _: None) -> None:
        self.told.emit(f"{name} is written.", False)
