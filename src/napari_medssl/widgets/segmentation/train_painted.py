"""The trainer that learns from masks: paint a few, and it segments the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFormLayout, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.action_config import ARCHITECTURE, TrainActionConfig
from napari_medssl.backend.config import describe, from_json
from napari_medssl.backend.models import load_card
from napari_medssl.backend.painted_workspace import PAINT_FIRST, PaintedImage, PaintedImages
from napari_medssl.backend.training_workspace import Unfinished, Workspace
from napari_medssl.state.mask_classes import with_model
from napari_medssl.widgets._form import ConfigForm
from napari_medssl.widgets._section import Section
from napari_medssl.widgets._settings import read_settings
from napari_medssl.widgets.segmentation.full_masks import FullMasks
from napari_medssl.widgets.segmentation.mask_layers import MaskLayers
from napari_medssl.widgets.segmentation.session import MaskSession
from napari_medssl.widgets.segmentation.set_masks import mask_of
from napari_medssl.widgets.segmentation.trainer import Trainer, TrainingJob

RECIPES = {
    "anatomical": (
        "ACTION's last stage",
        "Anatomical contrast: your masks, its own sure guesses, classes kept apart",
    ),
    "action": ("ACTION", "The last stage, begun with what all images look like"),
    "action++": ("ACTION++", "As ACTION, classes kept further apart"),
    "strong-weak": ("Strong-weak", "Your masks, and its own sure guesses"),
    "mean-teacher": ("Mean teacher", "Your masks, and steady guesses"),
    "supervised": ("Your masks only", "Nothing but your masks"),
}
"""Name and words of each recipe; the first is the default: see docs/methods/action.md."""

_WORK = "napari_medssl.backend.train_action:train_action"
_SHOWN = {"size", "batch", "short_side", "invert", "learning_rate"}
_SKIPPED = {spec.name for spec in describe(TrainActionConfig)} - _SHOWN
_MINUTES = 5.0
_PREVIEW_EVERY = 10  # steps
# Of a minute: its process has to start before that, and the images are segmented after it.
_QUICK: dict[str, Any] = {"stages": "supervised", "minutes": 0.7, "size": 128}


class PaintedTrainer(Trainer):
    """Learns from the images whose masks a person stands for, and looks at all others too.

    Parameters
    ----------
    session, layers
        The set, and what brings strokes home before it is read.
    parent
        Qt parent.
    """

    key = "painted"
    title = "Learn from your masks"
    about = (
        "Paint a few masks, get the rest: learns from the images that you painted, corrected or "
        "accepted, looks at all others too, and then segments those. What you left unpainted in "
        "such an image counts as the rest."
    )
    curves: ClassVar[dict[str, str]] = {
        "loss": "all losses",
        "supervised": "your masks",
        "pseudo": "its own guesses",
        "global": "whole images",
    }
    segments_after = True
    can_keep = True

    def __init__(
        self, session: MaskSession, layers: MaskLayers, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._layers = session, layers
        self.recipe = QComboBox()
        self.recipe.setMinimumContentsLength(8)
        self.recipe.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        for name, (title, words) in RECIPES.items():
            self.recipe.addItem(title, name)
            last = self.recipe.count() - 1
            self.recipe.setItemData(last, words, Qt.ItemDataRole.ToolTipRole)
        self.recipe.currentIndexChanged.connect(self._tell_recipe)
        self._tell_recipe(self.recipe.currentIndex())
        self.minutes = QDoubleSpinBox()
        self.minutes.setToolTip(
            "It takes as many steps as fit into this time, reckoned anew as it learns"
        )
        self.minutes.setRange(0.5, 24 * 60)
        self.minutes.setDecimals(1)
        self.minutes.setSuffix(" min")
        self.minutes.setValue(_MINUTES)
        self.quick = QCheckBox("Quick, 1 minute")
        self.quick.setToolTip(
            "A first guess to correct within about a minute: from your masks only, small crops"
        )
        self.quick.toggled.connect(self._show)
        self.former = QCheckBox("Begin with the model of this set")
        self.former.setToolTip(
            "Go on from the chosen model if it learned the same classes from masks; else anew"
        )
        self.former.setChecked(True)
        self.early = QCheckBox("End early when hardly anything changes")
        self.early.setToolTip(
            "The time is then the longest: it ends before if what it finds in a few images stays "
            "the same and the loss falls no more"
        )
        self.form: ConfigForm[TrainActionConfig] = ConfigForm(TrainActionConfig, skip=_SKIPPED)
        rows = QFormLayout()
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addRow("Recipe", self.recipe)
        rows.addRow("Time", self.minutes)
        for box in (self.quick, self.former, self.early):
            rows.addRow(box)  # the whole width: beside a label the words are cut off
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(rows)
        column.addWidget(Section("Settings", "Settings that seldom need a change", self.form))
        self.full = FullMasks(session)
        column.addWidget(self.full)

    def job(self, workspace: Workspace, sources: tuple[str, ...]) -> TrainingJob:
        """See `Trainer.job`."""
        painted = self._painted()
        start = self._start_of(painted) if self.former.isChecked() else ""
        config = from_json(
            TrainActionConfig,
            self.form.values()
            | {"stages": str(self.recipe.currentData()), "minutes": self.minutes.value()}
            | (_QUICK if self.quick.isChecked() else {})
            | ({"start": start} if start else {})
            | {
                "labelled": str(workspace.folder),
                "unlabelled": str(workspace.unlabelled) if painted.unlabelled else None,
                "out": str(workspace.out),
                "mask_values": "classes",
                "early_stop": self.early.isChecked(),
                "preview_every": _PREVIEW_EVERY,
                "device": read_settings().device,
            },
        )
        builds_on = start in (workspace.name, str(workspace.out))
        self._note_learned(painted)
        return TrainingJob(self.key, workspace, _WORK, config, painted=painted, builds_on=builds_on)

    def continued(self, stopped: Unfinished) -> TrainingJob:
        """See `Trainer.continued`."""
        config = from_json(TrainActionConfig, stopped.config)
        return TrainingJob(self.key, stopped.workspace, _WORK, config, goes_on=True)

    def kept(self, stopped: Unfinished) -> TrainingJob:
        """See `Trainer.kept`."""
        job = self.continued(stopped)
        return replace(job, config=replace(job.config, resume=True, finish=True))

    def words(self, values: dict[str, Any]) -> str:
        """See `Trainer.words`."""
        change = values.get("changed")
        return "" if change is None else f"Of what it finds {change:.0%} has changed lately."

    # -- inside ----------------------------------------------------------------------------------

    def _painted(self) -> PaintedImages:
        """Return what there is to learn from; UserError if nobody has painted anything."""
        folder = self._session.checked_folder()
        self._layers.take_in()
        items = folder.store.as_dict()
        labelled = [key for key, item in items.items() if item.is_label]
        if not labelled:
            raise UserError(PAINT_FIRST)
        names: dict[int, str] = {}
        for key in labelled:
            names = self._session.class_names(key) | names
        return PaintedImages(
            tuple(PaintedImage(items[key].source, mask_of(self._session, key)) for key in labelled),
            tuple(item.source for item in items.values() if not item.is_label),
            names,
        )

    def _start_of(self, painted: PaintedImages) -> str:
        """Return the set's model, a name or a file, if it learned these classes; else ""."""
        name = self._session.checked_folder().model
        if not name:
            return ""
        try:
            card = load_card(name)
            if card.architecture != ARCHITECTURE:
                return ""
            classes = card.config.get("classes")
            names = painted.class_names
            now = [names[number] for number in sorted(names)]
            known = self._session.checked_folder().classes  # renamed since it learned them
            then = [known[n].of if n in known else names[n] for n in sorted(names)]
            return name if classes in (now, then) else ""
        except UserError:  # it is gone, or damaged: there is nothing to begin with
            return ""

    def _note_learned(self, painted: PaintedImages) -> None:
        """Keep what the model will call classes: one that is renamed meanwhile is the same."""
        folder, names = self._session.checked_folder(), painted.class_names
        called = [names.get(number, "") for number in range(1, max(names, default=0) + 1)]
        known, _ = with_model(folder.classes, called)
        folder.remember(classes={n: one for n, one in known.items() if n in folder.classes})

    def _tell_recipe(self, place: int) -> None:
        """Say in the tooltip what the recipe learns from: the box has no room for it."""
        words = self.recipe.itemData(place, Qt.ItemDataRole.ToolTipRole)
        self.recipe.setToolTip(f"How it learns: {words}. See docs/methods/action.md")

    def _show(self, is_quick: bool) -> None:
        for field in (self.recipe, self.minutes):
            field.setEnabled(not is_quick)
