"""How the map is laid out, how far it can be trusted, and whether it shows slides or tissue."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QLabel, QVBoxLayout, QWidget

from napari_medssl.backend.compute_process import compute_process
from napari_medssl.backend.jobs import error_text
from napari_medssl.backend.map_batch import BatchEffect
from napari_medssl.backend.map_layout import LayoutConfig
from napari_medssl.widgets._background import Background
from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets._form import ConfigForm
from napari_medssl.widgets._section import Section
from napari_medssl.widgets.embedding_map.session import MapSession

_SURE, _HARDLY = 0.8, 0.2  # parts of the way from guessing to telling always


class MapPanel(QWidget):
    """The settings of the layout, its trust, and the check for batch effects.

    Signals
    -------
    layout_asked
        The map is to be laid out anew.
    decoder_chosen
        File of the autoencoder that is to decode places of the map, "" for none any more.
    told
        A line for the person; the second argument is True for an error.
    """

    layout_asked = Signal()
    decoder_chosen = Signal(str)
    told = Signal(str, bool)

    def __init__(self, session: MapSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.background = Background("medssl-map-check", self)
        self.form: ConfigForm[LayoutConfig] = ConfigForm(LayoutConfig)
        self.layout_button = PushButton(
            "Lay out anew", "Make the map with these settings", self.layout_asked.emit
        )
        self.trust = QLabel()
        self.trust.setWordWrap(True)
        self.trust.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.column = QComboBox()
        self.column.setToolTip("What must not be told from the embeddings: slide, scanner, patient")
        self.check_button = PushButton(
            "Check batch effect", "Can a linear probe tell which it is from?", self.check
        )
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.decode_button = PushButton(
            "Decode under the mouse ...",
            "Show what an autoencoder draws at the place under the mouse; again to stop",
            self._on_decode,
        )
        self.decode_button.setCheckable(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.trust)
        row = row_of([self.column, self.check_button])
        row.setStretch(0, 1)
        layout.addLayout(row)
        layout.addWidget(self.words)
        layout.addWidget(self.decode_button)
        layout.addWidget(Section("How the map is laid out", "Settings of UMAP", self.form))
        layout.addWidget(self.layout_button)
        layout.addStretch(1)
        session.opened.connect(self._on_opened)
        session.colored.connect(self._fill)
        session.names.changed.connect(self._forget)
        self._fill()

    def stop_decoding(self) -> None:
        """Show that nothing is decoded any more."""
        self.decode_button.setChecked(False)

    def _on_decode(self) -> None:
        chosen = ""
        if self.decode_button.isChecked():
            title, kinds = "Autoencoder that made the embeddings", "Models (*.safetensors)"
            chosen, _ = QFileDialog.getOpenFileName(self, title, "", kinds)
            self.decode_button.setChecked(bool(chosen))
        self.decoder_chosen.emit(chosen)

    def check(self) -> None:
        """Look whether a linear probe can tell the groups of the column that is chosen."""
        source, name = self._session.source, self.column.currentText()
        if source is None or not name:
            return
        self.words.setText("Checking ...")
        groups = [str(value) for value in source.columns[name]]
        work = partial(
            compute_process().call,
            "napari_medssl.backend.map_batch:check_batch",
            source.embeddings,
            groups,
        )
        self.background.submit("check", work, partial(self._take, name), self._refuse)

    def _take(self, name: str, effect: BatchEffect) -> None:
        shown = self._session.names.value
        left_out = [shown(name, one) or f"a {name}" for one in effect.left_out]
        self.words.setText(batch_words(name, replace(effect, left_out=tuple(left_out))))

    def _refuse(self, error: BaseException) -> None:
        self.words.setText("")
        self.told.emit(error_text(error), True)

    def _on_opened(self) -> None:
        self.background.drop("check")
        self.words.setText("")
        self._fill()

    def _forget(self) -> None:
        """Take the finding away: it may tell names that are to be hidden."""
        self.words.setText("")

    def _fill(self) -> None:
        session, former = self._session, self.column.currentText()
        columns = {} if session.source is None else session.source.columns
        names = [name for name, values in columns.items() if values.dtype.kind not in "f"]
        if [self.column.itemText(n) for n in range(self.column.count())] != names:
            self.column.clear()
            self.column.addItems(names)
            self.column.setCurrentText(former if former in names else (names or [""])[0])
        self.check_button.setEnabled(bool(names))
        self.layout_button.setEnabled(session.source is not None)
        self.trust.setText(trust_words(session))

    def close_down(self) -> None:
        """Stop the thread."""
        self.background.close()


def trust_words(session: MapSession) -> str:
    """Return how far the map can be trusted, in words."""
    trust, graph = session.trust, session.graph
    if trust is None:
        return "How far the map can be trusted is measured once it is laid out."
    words = (
        f"Trustworthiness {trust.mean_trustworthiness:.3f}, continuity "
        f"{trust.mean_continuity:.3f} (1 is best). Colour by one of them, or by torn or false "
        "neighbours, to see where it lies."
    )
    if graph is not None and graph.recall < 1:
        words += f" Of the nearest neighbours {graph.recall:.0%} were found."
    return words


def batch_words(name: str, effect: BatchEffect) -> str:
    """Return the finding in words."""
    verdict = "The embeddings hardly tell it."
    if effect.strength > _SURE:
        verdict = "They tell it almost surely: groups on the map may be batches, not kinds."
    elif effect.strength > _HARDLY:
        verdict = "They tell it in part."
    words = [
        f"A linear probe tells {name!r} with a mean recall of {effect.accuracy:.2f} "
        f"(chance {effect.chance:.2f}); {effect.same_neighbours:.0%} of the neighbours are of "
        f"the same one (chance {effect.same_by_chance:.0%}). {verdict}"
    ]
    if effect.left_out:
        words.append(f"Left out, as of too few points: {', '.join(effect.left_out[:5])}.")
    return " ".join(words)
