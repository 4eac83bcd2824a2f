"""The figures of a session as a Qt list: names, states, thumbnails, filter and order."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, QTimer

from napari_medssl.state.figure_names import folders_to_show
from napari_medssl.widgets._item_model import DETAIL_ROLE, STATE_ROLE, ItemFilter, ItemModel
from napari_medssl.widgets._thumbnails import Thumbnails
from napari_medssl.widgets.separation.session import Session


class FigureModel(ItemModel):
    """One row per figure, those first where a look mends most, or as they were added.

    Rows stay where they are while a person edits the figure in front: the order is made anew when
    another one comes, and once for all that a job or an import changes.
    """

    def __init__(self, session: Session, thumbnails: Thumbnails, parent: Any = None) -> None:
        super().__init__(thumbnails, parent)
        self._session = session
        self._folders: dict[str, str] = {}
        self._is_by_benefit = True
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(150)
        self._later.timeout.connect(self.reorder)
        session.figure_changed.connect(self._on_figure)
        session.current_changed.connect(self._later.start, check_nargs=False)
        session.project_changed.connect(self.start_anew)
        session.figures_changed.connect(self.reload)
        session.figure_changed.connect(self.touch)
        session.threshold_changed.connect(self.touch_all)
        thumbnails.ready.connect(self.touch)
        self.reload()

    def read_keys(self) -> list[str]:
        """See `ItemModel.read_keys`."""
        session = self._session
        return session.queue.order() if self._is_by_benefit else list(session.project.keys())

    def reload(self) -> None:
        """Read all figures anew."""
        infos = (self._session.project.info(key) for key in self._session.project)
        self._folders = folders_to_show({info.key: (info.name, info.path) for info in infos})
        super().reload()

    def set_by_benefit(self, is_by_benefit: bool) -> None:
        """Order by what a look is worth, else as the figures were added."""
        self._is_by_benefit = is_by_benefit
        self.reorder()

    def _on_figure(self, key: str) -> None:
        if self._is_by_benefit and key != self._session.current:
            self._later.start()

    def name(self, key: str) -> str:
        """Return a figure's name, with a folder if another figure has the same name."""
        if key not in self._session.project:
            return ""
        name, folder = self._session.project.info(key).name, self._folders.get(key)
        return f"{name} · {folder}" if folder else name

    def value(self, key: str, role: int) -> Any:
        """See `ItemModel.value`."""
        project = self._session.project
        if key not in project:
            return None
        if role == Qt.ItemDataRole.DecorationRole:
            return self._thumbnails.get(key)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{project.info(key).path}\n{self._detail(key)}, {project.state(key).value}"
        if role == STATE_ROLE:
            return project.state(key).value
        return self._detail(key) if role == DETAIL_ROLE else None

    def _detail(self, key: str) -> str:
        boxes = [box for box in self._session.project.boxes(key) if self._session.is_shown(box)]
        if not boxes:
            return "no panels" if self._session.project.info(key).width else "not opened yet"
        count = "1 panel" if len(boxes) == 1 else f"{len(boxes)} panels"
        doubtful = sum(box.score is not None and box.score < 0.8 for box in boxes)
        return f"{count}, {doubtful} doubtful" if doubtful else count


class FigureFilter(ItemFilter):
    """The rows whose figure matches a text and a state; it stays until another comes in front."""

    def __init__(self, model: FigureModel, session: Session, parent: Any = None) -> None:
        super().__init__(model, parent)
        self._session = session
        session.figure_changed.connect(self.look_later)

    def is_in_state(self, key: str) -> bool:
        """See `ItemFilter.is_in_state`."""
        project = self._session.project
        return key in project and project.state(key) == self.state
