"""What a person does with the points: the buttons, keys and palette call these."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_medssl._errors import UserError
from napari_medssl.state.landmarks import PointId
from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets.landmarks.exchange_menu import ExchangeMenu
from napari_medssl.widgets.landmarks.session import LandmarkSession


class PointActions(QObject):
    """Actions on the point or the image in front.

    Signals
    -------
    told
        A line for the person; the second argument is True for an error.
    """

    told = Signal(str, bool)

    def __init__(self, session: LandmarkSession, exchange: ExchangeMenu, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self._exchange = exchange
        self._parent = parent
        self._copied: tuple[int, object] | None = None

    def do(self, act: Callable[[], str | None]) -> None:
        """Do something and tell its words; what is refused is told as an error."""
        try:
            words = act()
        except UserError as error:
            self.told.emit(str(error), True)
        else:
            self.told.emit(words or "", False)

    def _pair(self) -> PointId:
        return self._session.checked_current()

    # -- the point in front ----------------------------------------------------------------------

    def confirm(self) -> None:
        """The point in front is right; go to the next one to check."""
        self.do(self._confirm)

    def _confirm(self) -> str:
        pair = self._pair()
        point = self._session.store.point(*pair)
        if point.state == "undefined":
            raise UserError("There is nothing to confirm: click where the landmark is.")
        if point.state == "absent" and not point.is_decided:
            self._session.store.set_absent([pair])
        else:
            self._session.store.confirm([pair])
        return self._go_on(1)

    def confirm_image(self) -> None:
        """All that was found in the image in front is right."""
        self.do(self._confirm_image)

    def _confirm_image(self) -> str:
        session = self._session
        image = self._pair()[0]
        found = [p for p in session.store.points_of(image) if p.state == "found"]
        count = session.store.confirm([(p.image, p.name) for p in found])
        return f"{count} points confirmed. {self._go_on(1)}"

    def step_queue(self, by: int) -> None:
        """Go to the next point to check, the least certain first, or back."""
        self.do(lambda: self._go_on(by))

    def _go_on(self, by: int) -> str:
        self._session.checked_folder()
        return "" if self._session.step_queue(by) else "All points are checked."

    def step_candidate(self, by: int) -> None:
        """Move the point to the next place that the program offers."""
        self.do(lambda: "Candidate {} of {}.".format(*self._session.step_candidate(by)))

    def set_absent(self) -> None:
        """The image does not show the landmark."""
        self.do(lambda: self._session.store.set_absent([self._pair()]))

    def clear(self) -> None:
        """Make the point undefined; the program may find it again."""
        self.do(self._clear)

    def _clear(self) -> None:
        pair = self._pair()
        self._session.store.clear([pair])
        offer = self._session.offers.get(pair)
        if offer is not None and self._session.store.templates(pair[1]):
            self._session.offer(pair, offer)

    def toggle_lock(self) -> None:
        """Lock the point, or unlock it."""
        self.do(self._toggle_lock)

    def _toggle_lock(self) -> None:
        pair = self._pair()
        is_locked = self._session.store.point(*pair).state == "locked"
        self._session.store.set_locked([pair], not is_locked)

    def toggle_template(self) -> None:
        """Use the point as a template too, or no more."""
        self.do(self._toggle_template)

    def _toggle_template(self) -> str:
        pair = self._pair()
        store = self._session.store
        is_one = store.point(*pair).is_template
        store.set_template(*pair, not is_one)
        count = len(store.templates(pair[1]))
        name = store.name(pair[1]).name
        return f"{name!r} is searched with {count} template{'s' * (count != 1)} now."

    def undo(self) -> None:
        """Take the last edit back."""
        self._walk("undo")

    def redo(self) -> None:
        """Bring the last undone edit back."""
        self._walk("redo")

    def _walk(self, kind: str) -> None:
        store = self._session.store
        edit = store.undo() if kind == "undo" else store.redo()
        told = "Taken back" if kind == "undo" else "Done again"
        self.told.emit(f"{told}: {edit.name}." if edit else f"Nothing to {kind}.", False)

    # -- the image in front ----------------------------------------------------------------------

    def copy(self) -> None:
        """Remember the image in front, to paste its points elsewhere."""
        self.do(self._copy)

    def _copy(self) -> str:
        image = self._pair()[0]
        store = self._session.store
        count = sum(point.place is not None for point in store.points_of(image))
        if not count:
            raise UserError("There is nothing to copy: no landmark has a place in this image.")
        self._copied = image, store
        return f"{count} points of {store.image(image).name} copied."

    def paste(self) -> None:
        """Put the points that were copied into the image in front; asks before it overwrites."""
        self.do(self._paste)

    def _paste(self) -> str:
        target = self._pair()[0]
        store = self._session.store
        if self._copied is None or self._copied[1] is not store or self._copied[0] not in store:
            raise UserError("Nothing was copied. Copy the points of an image first.")
        source = self._copied[0]
        if source == target:
            raise UserError("The points are from this image. Put another one in front.")
        points = store.copied(source, target)
        conflicts = store.conflicts(points)
        name = store.image(source).name
        overwrite = bool(conflicts) and self._exchange.may_overwrite(len(conflicts), name)
        count = store.put(points, f"paste from {name}", overwrite=overwrite)
        return f"{count} points pasted from {name}."

    def make_front(self) -> None:
        """Make the image in front the template."""
        self.do(self._make_front)

    def _make_front(self) -> str:
        image = self._session.image
        self._session.checked_folder()
        if image is None:
            raise UserError("No image is in front. Click one in the list.")
        self._session.set_front(image)
        return f"Clicks on {self._session.store.image(image).name} place landmarks for all images."

    def remove_images(self, images: list[int]) -> None:
        """Take images off the set; asks first if they have points of a person."""
        store = self._session.store
        made = sum(p.is_by_person for key in images for p in store.points_of(key))
        text = f"{made} landmarks that a person made go with the images. Undo brings them back."
        if images and (not made or questions.may(self._parent, "Remove images?", text)):
            store.remove_images(images)

    # -- the list --------------------------------------------------------------------------------

    def add_name(self, name: str) -> None:
        """Add a landmark to the list, in front unless one waits there for a click on the template.

        Several are typed in a row, and clicks place them in that order.
        """

        def act() -> None:
            session = self._session
            store = session.checked_folder().store
            added, now, front = store.add_name(name), session.name, session.front
            if now is None or front is None or store.point(front, now).is_decided:
                session.choose(name=added)

        self.do(act)

    def remove_name(self, name: int) -> None:
        """Take a landmark off the list; asks first if a person made points of it."""
        store = self._session.store
        made = sum(store.point(image, name).is_by_person for image in store.images())
        title = store.name(name).name
        text = (
            f"{title!r} was placed by a person in {made} images. It goes from all of them. Undo "
            "brings it back."
        )
        if not made or questions.may(self._parent, "Remove the landmark?", text):
            store.remove_name(name)
