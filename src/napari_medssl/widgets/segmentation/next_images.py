"""Take pictures that another widget hands over as the next to label, such as those of a lasso."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from qtpy.QtWidgets import QWidget

from napari_medssl.io.images import ImageRef
from napari_medssl.widgets import _questions as questions
from napari_medssl.widgets._image_sets import source_of
from napari_medssl.widgets._set_places import shown_name
from napari_medssl.widgets.segmentation.part import Part
from napari_medssl.widgets.segmentation.session import MaskSession
from napari_medssl.widgets.segmentation.set_files import SetFiles

_SOME = 3


class NextImages(Part):
    """Adds what is not in the set, after a question if another set is open, and has all come first.

    Images with a mask that a person stands for do not: the queue passes them over.

    Parameters
    ----------
    session, files
        The set, and what adds to it.
    set_next
        Has images of the set come first, by their sources.
    parent
        Of questions.
    """

    def __init__(
        self,
        session: MaskSession,
        files: SetFiles,
        set_next: Callable[[Iterable[str]], object],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._session, self._files, self._set_next = session, files, set_next

    def take(self, refs: Sequence[ImageRef], folder: Path) -> None:
        """Have pictures come first, in their order, once the set is there and holds them.

        Parameters
        ----------
        refs
            Pictures with their full paths.
        folder
            What they are a part of: where no set is open, that of this folder is; it takes more
            of them unasked.
        """
        self._files.afterwards(partial(self._take, tuple(refs), folder))

    def come_first(self, sources: Sequence[str]) -> None:
        """Have images of the set come first, put the first in front, and say so."""
        items = self._session.store.as_dict()
        wanted = dict.fromkeys(sources)
        key_of = {item.source: key for key, item in items.items() if item.source in wanted}
        keys = [key_of[source] for source in wanted if source in key_of]
        if not keys:
            return  # why they could not be added was told
        open_keys = [key for key in keys if not items[key].is_label]
        own = len(keys) - len(open_keys)
        if not open_keys:
            self.told.emit(f"{_all_of(own)} of yours already: nothing comes first.", False)
            return
        self._set_next(items[key].source for key in open_keys)
        self._session.choose(open_keys[0])
        count = len(open_keys)
        words = f"{count} image{'s come' if count > 1 else ' comes'} first now; Q goes on."
        have = "have masks" if own > 1 else "has a mask"
        self.told.emit(words + f" {own} more {have} of yours already." * bool(own), False)

    def _take(self, refs: tuple[ImageRef, ...], folder: Path) -> None:
        known = {item.source for item in self._session.store.as_dict().values()}
        fresh = [ref for ref in refs if source_of(ref) not in known]
        is_other = self._session.folder is not None and not self._files.is_set_of(folder)
        if fresh and is_other and not self._may_add(fresh):
            refs = tuple(ref for ref in refs if source_of(ref) in known)
            fresh = []
            if not refs:
                self.told.emit("No picture was added; the set is as it was.", False)
                return
        if fresh:
            self._files.add_refs(fresh, folder)
        sources = [source_of(ref) for ref in refs]
        self._files.afterwards(partial(self.come_first, sources))

    def _may_add(self, fresh: Sequence[ImageRef]) -> bool:
        name = shown_name(self._session.checked_folder().folder)
        some = ", ".join(ref.name for ref in fresh[:_SOME]) + " ..." * (len(fresh) > _SOME)
        count, is_one = len(fresh), len(fresh) == 1
        text = (
            f"{count} picture{' is' if is_one else 's are'} not in the set {name!r} that is open: "
            f"{some}\n\nAdd {'it' if is_one else 'them'}? Files stay where they are; nothing is "
            "copied. If not, only those of the set come first."
        )
        return questions.may(self._parent, "Add pictures to the set?", text)


def _all_of(count: int) -> str:
    return "The one asked for has a mask" if count == 1 else f"All {count} have masks"
