"""A config dataclass as a Qt form: one row a field, with tooltip, range and unit."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_medssl.backend.config import FieldSpec, check_value, describe, from_json

C = TypeVar("C")
_MOST = 2**31 - 1
# A signal without arguments, told by the editors themselves: a function between the two could be
# cleared by the collector while they still live.
_Changed = Any


@dataclass(frozen=True)
class _Field:
    """A field's editor, and how its value is read and set."""

    spec: FieldSpec
    editor: QWidget
    read: Callable[[], Any]
    write: Callable[[Any], None]


class ConfigForm(QWidget, Generic[C]):
    """Edit a config; `changed` tells of every edit.

    Parameters
    ----------
    config_class
        A config dataclass, see `napari_medssl.backend.config`.
    skip
        Fields without a row; `config` gives their default.
    parent
        Qt parent.
    """

    changed = Signal()

    def __init__(
        self,
        config_class: type[C],
        *,
        skip: Collection[str] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._config_class = config_class
        self._fields: dict[str, _Field] = {}
        rows, advanced = QFormLayout(), QFormLayout()
        for spec in describe(config_class):
            if spec.name not in skip:
                self._add_row(spec, advanced if spec.advanced else rows)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(rows)
        if advanced.rowCount():
            layout.addWidget(_collapsed("Advanced", advanced))

    def _add_row(self, spec: FieldSpec, rows: QFormLayout) -> None:
        field = _make_field(spec, self.changed)
        self._fields[spec.name] = field
        label = QLabel(spec.title)
        for widget in (label, field.editor):
            widget.setToolTip(spec.help)
        # Names let tests and style sheets find an editor; the accessible one is read aloud.
        field.editor.setObjectName(spec.name)
        field.editor.setAccessibleName(spec.title)
        label.setBuddy(field.editor)
        rows.addRow(label, field.editor)
        if spec.default is not None:
            field.write(spec.default)

    def config(self) -> C:
        """Return the config that the form shows.

        Raises
        ------
        UserError
            If a text or a path that must be given is missing or does not fit.
        """
        return from_json(self._config_class, self.values())

    def values(self) -> dict[str, Any]:
        """Return what the form shows by name, unchecked; fields that were skipped are not there."""
        return {name: field.read() for name, field in self._fields.items()}

    def set_config(self, config: C) -> None:
        """Show `config`."""
        for name, field in self._fields.items():
            field.write(getattr(config, name))

    def set_value(self, name: str, value: Any) -> None:
        """Show one value, after checking it."""
        field = self._fields[name]
        field.write(check_value(field.spec, value))

    def suggest(self, name: str, value: float) -> None:
        """Have a number that may be chosen automatically begin here once it is set by hand."""
        field = self._fields[name]
        field.write(check_value(field.spec, value))
        field.write(None)

    def editor(self, name: str) -> QWidget:
        """Return the editor of a field."""
        return self._fields[name].editor


def _collapsed(title: str, rows: QFormLayout) -> QWidget:
    inside = QWidget()
    inside.setLayout(rows)
    section = QCollapsible(title)
    section.setToolTip("Settings that seldom need a change")
    section.setContent(inside)
    return section


def _make_field(spec: FieldSpec, changed: _Changed) -> _Field:
    if spec.is_list:
        return _list_field(spec, changed)
    make = {
        "bool": _flag_field,
        "int": _number_field,
        "float": _number_field,
        "choice": _choice_field,
        "path": _path_field,
        "str": _text_field,
    }[spec.kind]
    field = make(spec, changed)
    if spec.is_optional and spec.kind in ("int", "float"):
        return _optional_field(field, changed)
    return field


def _flag_field(spec: FieldSpec, changed: _Changed) -> _Field:
    box = QCheckBox()
    box.toggled.connect(changed)
    return _Field(spec, box, box.isChecked, lambda value: box.setChecked(bool(value)))


def _number_field(spec: FieldSpec, changed: _Changed) -> _Field:
    spin: Any
    if spec.kind == "int":
        spin = QSpinBox()
        spin.setRange(
            -_MOST if spec.min is None else int(spec.min),
            _MOST if spec.max is None else int(spec.max),
        )
    else:
        spin = QDoubleSpinBox()
        # Enough for a learning rate of 1e-5; the steps follow the size of the value.
        spin.setDecimals(6)
        spin.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        spin.setRange(
            -1e12 if spec.min is None else spec.min, 1e12 if spec.max is None else spec.max
        )
    if spec.unit:
        spin.setSuffix(f" {spec.unit}")
    spin.valueChanged.connect(changed)
    return _Field(spec, spin, spin.value, lambda value: spin.setValue(value))


def _optional_field(field: _Field, changed: _Changed) -> _Field:
    """Return a number with a check box before it: unchecked means None, "choose for me"."""
    box = QCheckBox()
    box.setToolTip("Set by hand; unchecked, it is chosen automatically")
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.addWidget(box)
    # A greyed number would be read as the one that is used.
    automatic = QLabel("automatic")
    automatic.setToolTip(field.spec.help)
    automatic.setEnabled(False)
    row.addWidget(automatic, 1)
    row.addWidget(field.editor, 1)
    field.editor.setToolTip(field.spec.help)
    field.editor.setVisible(False)
    box.toggled.connect(field.editor.setVisible)
    box.toggled.connect(automatic.setHidden)
    box.toggled.connect(changed)

    def write(value: Any) -> None:
        box.setChecked(value is not None)
        if value is not None:
            field.write(value)

    return _Field(field.spec, holder, lambda: field.read() if box.isChecked() else None, write)


def _choice_field(spec: FieldSpec, changed: _Changed) -> _Field:
    box = QComboBox()
    box.addItems([*([""] if spec.is_optional else []), *spec.choices])
    box.currentIndexChanged.connect(changed)
    return _Field(
        spec, box, lambda: box.currentText() or None, lambda value: box.setCurrentText(value or "")
    )


def _text_field(spec: FieldSpec, changed: _Changed) -> _Field:
    line = QLineEdit()
    line.textChanged.connect(changed)

    def read() -> str | None:
        return None if spec.is_optional and not line.text() else line.text()

    return _Field(spec, line, read, lambda value: line.setText(value or ""))


class _PathEditor(QWidget):
    """A line for a path, and a button that asks for a folder."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self.line, button = QLineEdit(), QToolButton()
        button.setText("…")
        button.setToolTip("Choose a folder")
        button.clicked.connect(self._choose)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line, 1)
        row.addWidget(button)

    def _choose(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self._title, self.line.text())
        if chosen:
            self.line.setText(chosen)


def _path_field(spec: FieldSpec, changed: _Changed) -> _Field:
    editor = _PathEditor(spec.title.capitalize())
    line = editor.line
    line.textChanged.connect(changed)

    def read() -> Path | None:
        text = line.text().strip()
        return Path(text) if text or not spec.is_optional else None

    return _Field(
        spec, editor, read, lambda value: line.setText("" if value is None else str(value))
    )


def _list_field(spec: FieldSpec, changed: _Changed) -> _Field:
    """Return a line of items with commas between them."""
    line = QLineEdit()
    line.setPlaceholderText("values with commas between them")
    line.textChanged.connect(changed)
    kind = {"int": int, "float": float}.get(spec.kind, str)

    def read() -> list[Any]:
        return [_item(kind, word.strip()) for word in line.text().split(",") if word.strip()]

    return _Field(spec, line, read, lambda value: line.setText(", ".join(map(str, value))))


def _item(kind: Callable[[str], Any], word: str) -> Any:
    """Return the item, or the word as it is: the check of the config then names it."""
    try:
        return kind(word)
    except ValueError:
        return word
