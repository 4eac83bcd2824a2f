"""The field that says whose slides are: a CSV file, or a rule for the names of files."""

from __future__ import annotations

import re
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from napari_medssl.backend.patients import Patients
from napari_medssl.widgets._buttons import ToolButton

_TIP = (
    "Whose a slide is, so that its patient can be left out of a search: a CSV file with the "
    "columns slide (file name) and patient, or a regular expression whose first group is the "
    "patient in a slide's file name, such as ^(TCGA-..-....)"
)


class PatientField(QWidget):
    """A line for a file or a rule, a button that asks for the file, and what comes of a rule.

    Signals
    -------
    changed
        Another text is there.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._example = ""
        self.line = QLineEdit()
        self.line.setPlaceholderText("CSV file, or rule for file names")
        self.line.setClearButtonEnabled(True)
        self.line.setToolTip(_TIP)
        self.line.setAccessibleName("Whose slides are")
        self.line.textChanged.connect(self._on_text)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line, 1)
        row.addWidget(ToolButton("…", "Choose a CSV file", self._ask))
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setToolTip("What the rule says of the slide in front")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(row)
        column.addWidget(self.words)
        self._show()

    @property
    def table(self) -> Path | None:
        """The CSV file, None where a rule or nothing is given."""
        text = self.line.text().strip()
        return Path(text).expanduser() if text.lower().endswith(".csv") else None

    @property
    def rule(self) -> str:
        """The regular expression, "" where a file or nothing is given."""
        return "" if self.table is not None else self.line.text().strip()

    @property
    def error(self) -> str:
        """Why the rule cannot be used, "" if it can."""
        try:
            re.compile(self.rule)
        except re.error as error:
            return (
                f"{self.rule!r} is neither a CSV file nor a regular expression ({error}). Write "
                "for example ^(TCGA-..-....)"
            )
        return ""

    def show_example(self, source: str) -> None:
        """Say what the rule makes of the slide at a place, "" for none."""
        self._example = source
        self._show()

    def _on_text(self, _text: str) -> None:
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        self.words.setText(self._said())
        self.words.setVisible(bool(self.words.text()))

    def _said(self) -> str:
        if self.error or not self.rule or not self._example:
            return self.error
        patient = Patients(rule=re.compile(self.rule)).of(self._example)
        return f"This slide: {patient}" if patient else "It names no patient of this slide."

    def _ask(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Whose slides are", str(self.table or ""), "CSV (*.csv)"
        )
        if chosen:
            self.line.setText(chosen)
