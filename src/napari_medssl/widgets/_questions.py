"""Questions before something a person made is lost."""

from __future__ import annotations

from qtpy.QtWidgets import QMessageBox, QWidget


def may(parent: QWidget, title: str, text: str) -> bool:
    """Ask, and return whether the person said yes; no is what Enter means."""
    yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
    answer = QMessageBox.question(parent, title, text, yes | no, no)
    return bool(answer == yes)
