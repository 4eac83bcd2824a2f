"""The trainer that needs no labels: images, and binary shapes of another modality."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QFileDialog, QFormLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.config import describe, from_json
from napari_medssl.backend.shape_guided_config import TrainShapeGuidedConfig
from napari_medssl.backend.training_workspace import Unfinished, Workspace
from napari_medssl.widgets._buttons import PushButton, row_of
from napari_medssl.widgets._form import ConfigForm
from napari_medssl.widgets._section import Section
from napari_medssl.widgets._settings import read_settings
from napari_medssl.widgets.segmentation.trainer import Trainer, TrainingJob

_SHOWN = {"steps", "polarity", "channel", "size", "least_width", "scale"}
_SKIPPED = {spec.name for spec in describe(TrainShapeGuidedConfig)} - _SHOWN
_STEPS = 900  # those of `retina-vessels`
_WORK = "napari_medssl.backend.train_shape_guided:train_shape_guided"


class ShapeTrainer(Trainer):
    """Learns to find shapes such as vessels in images that nobody has labelled.

    Parameters
    ----------
    viewer
        Whose layers may be taken as shapes.
    parent
        Qt parent.
    """

    key = "shape-guided"
    title = "From shapes, without labels"
    about = (
        "Learns from the images of the set and from binary pictures of such shapes in any other "
        "modality, such as vessel masks of other eyes. No image is paired with a shape and none is "
        "labelled. 900 steps take about ten minutes on a CPU."
    )
    curves: ClassVar[dict[str, str]] = {
        "loss": "all losses",
        "render": "drawn shapes",
        "shape": "shapes that look real",
    }

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._folder: Path | None = None
        self._layer: NDArray[np.bool_] | None = None
        self.chosen = QLabel()
        self.chosen.setWordWrap(True)
        self.chosen.setToolTip("Binary pictures: black but for the shapes")
        self.class_name = QLineEdit("vessel")
        self.class_name.setToolTip("What the shapes are; the class of the masks is called so")
        self.form: ConfigForm[TrainShapeGuidedConfig] = ConfigForm(
            TrainShapeGuidedConfig, skip=_SKIPPED
        )
        self.form.set_value("steps", _STEPS)
        rows = QFormLayout()
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addRow("Shapes", self.chosen)
        folder = PushButton("Folder ...", "Choose a folder of binary pictures", self.ask_folder)
        layer = PushButton(
            "Selected layer", "Take the Labels or Image layer selected in napari", self.use_layer
        )
        rows.addRow("", row_of([folder, layer]))
        rows.addRow("Class", self.class_name)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(rows)
        column.addWidget(Section("Settings", "Steps, and how shapes look in the images", self.form))
        self._show("none chosen yet")

    def ask_folder(self) -> None:
        """Ask for a folder of shapes."""
        name = QFileDialog.getExistingDirectory(self, "Folder of binary shapes")
        if name:
            self.use_folder(Path(name))

    def use_folder(self, folder: Path) -> None:
        """Learn from the pictures of a folder."""
        self._folder, self._layer = folder, None
        self._show(str(folder))

    def use_layer(self) -> None:
        """Learn from the Labels or Image layer that is selected; what is wrong is told here."""
        try:
            layer = self._viewer.layers.selection.active
            self._layer, self._folder = _shapes_of(layer), None
            self._show(f"layer {layer.name!r}, {self._layer.mean():.1%} of it are shapes")
        except UserError as error:
            self._show(str(error))

    def job(self, workspace: Workspace, sources: tuple[str, ...]) -> TrainingJob:
        """See `Trainer.job`."""
        shapes = workspace.shapes if self._layer is not None else self._folder
        if shapes is None:
            raise UserError("No shapes are chosen. Choose a folder of binary pictures, or a layer.")
        if len(sources) < 2:
            raise UserError(
                f"The set has {len(sources)} image{'s' * (len(sources) != 1)}; due are at least 2 "
                "of one modality, better a dozen. Open more."
            )
        config = from_json(
            TrainShapeGuidedConfig,
            self.form.values()
            | {
                "data": str(workspace.images),
                "shapes": str(shapes),
                "out": str(workspace.out),
                "class_name": self.class_name.text().strip() or "shape",
                "device": read_settings().device,
            },
        )
        return TrainingJob(self.key, workspace, _WORK, config, sources, self._layer)

    def continued(self, stopped: Unfinished) -> TrainingJob:
        """See `Trainer.continued`."""
        config = from_json(TrainShapeGuidedConfig, stopped.config)
        return TrainingJob(self.key, stopped.workspace, _WORK, config, goes_on=True)

    def words(self, values: dict[str, Any]) -> str:
        """See `Trainer.words`."""
        part = values.get("steered_part")
        name = self.class_name.text().strip() or "shape"
        return "" if part is None else f"{name}: {part:.1%} of the images so far"

    def _show(self, text: str) -> None:
        self.chosen.setText(text)


def _shapes_of(layer: Any) -> NDArray[np.bool_]:
    """Return where a layer is not 0, or bright; UserError if it is no plane of two values."""
    if layer is None or not hasattr(layer, "data") or not hasattr(layer, "colormap"):
        raise UserError("No Labels or Image layer is selected. Click it in napari's layer list.")
    is_rgb = getattr(layer, "rgb", False)
    if getattr(layer, "multiscale", False) or layer.data.ndim != (3 if is_rgb else 2):
        raise UserError(f"Layer {layer.name!r} is no plain 2-D picture. Take one slice.")
    pixels = np.asarray(layer.data)
    if is_rgb:
        pixels = pixels[..., :3].max(axis=2)
    found = np.asarray(pixels > 0.5 * float(pixels.max())) if hasattr(layer, "rgb") else pixels != 0
    if not found.any() or found.all():
        raise UserError(f"Layer {layer.name!r} holds no shape: all its pixels are alike.")
    return np.asarray(found, bool)
