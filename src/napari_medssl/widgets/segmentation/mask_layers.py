"""The image in front and its mask as layers of napari, and what a person paints brought home.

A few images keep their layers, so that the undo of napari's Labels layer is still there when one
comes back; beyond that the layers that were not looked at for longest are used again.

More than 300 lines: a mask is lost where reading, filling and taking in do not know of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, error_text
from napari_medssl.state.mask_folder import MaskFolder
from napari_medssl.widgets._background import Background
from napari_medssl.widgets.segmentation.colors import label_colors
from napari_medssl.widgets.segmentation.layer_pair import LayerPair, ToolInHand, use_tool
from napari_medssl.widgets.segmentation.layer_places import fit_view, place_of, put_at
from napari_medssl.widgets.segmentation.mask_reading import Mask, View, read_both
from napari_medssl.widgets.segmentation.mask_step import put_as_step
from napari_medssl.widgets.segmentation.session import MaskSession

IMAGE_KIND, MASK_KIND = "image to segment", "mask"
_MOST_KEPT = 4
_TAKE_IN_MS = 150


class MaskLayers(QObject):
    """Shows the image in front with its mask, and takes in what is painted.

    Signals
    -------
    failed
        Why an image or a mask cannot be shown or saved.
    made
        A layer was made.
    shown
        Another image is on the canvas.
    placed
        Layers lie where they belong beside others, which may have come just now.
    label_chosen
        The brush of the image in front paints this class from now on.
    """

    failed = Signal(str)
    made = Signal(object)
    shown = Signal()
    placed = Signal()
    label_chosen = Signal(int)

    def __init__(self, viewer: Any, session: MaskSession, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._session = session
        self.background = Background("medssl-mask-read", self)
        self._pairs: list[LayerPair] = []
        self._tool = ToolInHand()
        self._is_new_set = True
        self._colors: dict[int, str] = {}
        self._reading: int | None = None
        self._touched: set[int] = set()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_TAKE_IN_MS)
        self._later.timeout.connect(self.take_in)
        self._tidy = QTimer(self)  # once it is known which layers the next image takes over
        self._tidy.setSingleShot(True)
        self._tidy.timeout.connect(self._take_away_free)
        session.set_changed.connect(self._on_set)
        session.current_changed.connect(self.refresh)
        session.list_changed.connect(self._on_list)
        session.classes_changed.connect(self._on_classes)
        viewer.layers.events.inserted.connect(self._put_all)

    @property
    def front(self) -> int | None:
        """Id of the image on the canvas, None while there is none."""
        pair = self._pair_of(self._session.image)
        return None if pair is None else pair.key

    @property
    def is_reading(self) -> bool:
        """True while an image is read."""
        return self._reading is not None

    @property
    def is_waiting(self) -> bool:
        """True while something painted is not taken in yet."""
        return bool(self._later.isActive())

    def layer(self, key: int | None) -> Any:
        """Return the Labels layer of an image, None if it has none now."""
        pair = self._pair_of(key)
        return None if pair is None else pair.mask

    def image_layer(self, key: int | None) -> Any:
        """Return the Image layer of an image, None if it has none now."""
        pair = self._pair_of(key)
        return None if pair is None else pair.image

    def refresh(self) -> None:
        """Show the image in front."""
        key = self._session.image
        pair = self._pair_of(key)
        if pair is not None:
            self._put_in_front(pair)
        elif key is None:
            for one in self._pairs:
                one.show(False)
        else:
            self._read(key)

    def replace(self, key: int, mask: Mask, *, was_edited: bool = False) -> None:
        """Show what the program made of an image, if it has layers.

        Parameters
        ----------
        key, mask
            The image, and its mask, shape (Y, X).
        was_edited
            A person has edited the mask that goes, here or earlier: napari's undo brings it back.
        """
        pair = self._pair_of(key)
        if pair is None:
            return
        layer = pair.mask
        if was_edited or pair.was_painted:
            put_as_step(layer, mask)
        else:  # nothing to take back
            layer.data[...] = mask
        layer.refresh()  # its thumbnail, too
        self._name_classes(layer, key)
        self._session.mask_changed.emit(key)

    def read_again(self, key: int) -> None:
        """Show the mask of an image as its file has it: it is another one now."""
        pair = self._pair_of(key)
        if pair is not None:
            pair.key = None
        if key == self._session.image:
            self._read(key)

    @property
    def label(self) -> int:
        """Class that the brush of the image in front paints."""
        layer = self.layer(self._session.image)
        return 0 if layer is None else int(layer.selected_label)

    def choose_label(self, number: int) -> None:
        """Let the brush of the image in front paint a class."""
        layer = self.layer(self._session.image)
        if layer is not None and layer.selected_label != number:
            layer.selected_label = number

    def choose_listed(self) -> None:
        """Let the brush paint a class that the image in front may have; where none is, the first.

        What was in hand may be of another set, or was taken off the list.
        """
        key = self._session.image
        names = {} if key is None else self._session.class_names(key)
        if self.label not in names:
            self.choose_label(min(names, default=1))

    def take_in(self) -> None:
        """Save what was painted since it was last looked at."""
        self._later.stop()
        touched, self._touched = self._touched, set()
        folder = self._session.folder
        if folder is None or folder.is_closed:
            return
        for key in touched:
            layer = self.layer(key)
            if layer is None or key not in folder.store:
                continue
            try:
                if folder.take_in(key, np.asarray(layer.data)):
                    self._note_painted(layer)
                    self._session.mask_changed.emit(key)
            except UserError as error:
                self.failed.emit(str(error))

    def close(self) -> None:
        """Stop the thread and take the layers away."""
        self.background.close()
        self._viewer.layers.events.inserted.disconnect(self._put_all)
        for timer in (self._later, self._tidy):
            timer.stop()
        pairs, self._pairs, self._tool = self._pairs, [], ToolInHand()
        self._take_away(pairs)

    # -- reading ---------------------------------------------------------------------------------

    def _on_set(self) -> None:
        self.background.drop("read")
        self._reading = None
        self._touched.clear()
        self._is_new_set = True
        for pair in self._pairs:
            self._let_go(pair)
        self._tidy.start()

    def _on_list(self) -> None:
        for pair in self._pairs:
            if pair.key is not None and pair.key not in self._session.store:
                self._let_go(pair)
        self._tidy.start()

    def _read(self, key: int) -> None:
        folder = self._session.folder
        if folder is None or self._reading == key:
            return
        self._reading = key
        held, file = folder.held(key), folder.mask_file(key)
        mask = None if held is None else held.copy()
        work = partial(read_both, self._session.store[key].ref, mask, file)
        self.background.submit(
            "read",
            work,
            partial(self._on_read, folder, key, file),
            partial(self._on_bad, folder, key),
        )

    def _on_read(
        self, folder: MaskFolder, key: int, file: Path | None, found: tuple[Mask, Mask, View]
    ) -> None:
        self._reading = None
        self._tidy.start()
        if folder is not self._session.folder or key not in folder.store:
            return
        if folder.mask_file(key) != file:  # the program has made another one meanwhile
            self._read(key)
            return
        pixels, mask, self._session.views[key] = found
        item = folder.store[key]
        if (item.height, item.width) != pixels.shape[:2]:
            folder.store.note_size(key, pixels.shape[1], pixels.shape[0])
        self._session.note_problem(key, "")
        held = folder.held(key)
        if held is None:
            folder.hold(key, mask)
        self._fill(key, pixels, mask if held is None else held.copy())
        if key == self._session.image:
            self.refresh()

    def _on_bad(self, folder: MaskFolder, key: int, error: BaseException) -> None:
        self._reading = None
        self._tidy.start()
        if folder is self._session.folder and not isinstance(error, Cancelled):
            self._session.note_problem(key, error_text(error))
            if key == self._session.image:
                for pair in self._pairs:
                    pair.show(False)
            if key == self._session.image and all(pair.key is None for pair in self._pairs):
                self._session.choose_readable()  # a canvas that stays empty says nothing
            self.failed.emit(error_text(error))  # last: what is told goes with the next choice

    # -- layers ----------------------------------------------------------------------------------

    def _pair_of(self, key: int | None) -> LayerPair | None:
        layers = self._viewer.layers
        # A person may have deleted one of the two in napari's list.
        gone = [p for p in self._pairs if p.image not in layers or p.mask not in layers]
        for pair in gone:
            self._pairs.remove(pair)
            for layer in (pair.image, pair.mask):
                if layer in layers:
                    layers.remove(layer)
        if key is None:
            return None
        return next((pair for pair in self._pairs if pair.key == key), None)

    def _fill(self, key: int, pixels: NDArray[np.uint8], mask: Mask) -> None:
        """Give an image the layers that were not looked at for longest, or new ones."""
        item = self._session.store[key]
        placed = place_of(item, self._viewer)
        free = next((pair for pair in self._pairs if pair.key is None), None)
        if free is None and len(self._pairs) >= _MOST_KEPT:
            free = self._pairs[0]
            self.take_in()
            folder = self._session.checked_folder()
            if free.key is not None and free.key in folder.store:
                folder.release(free.key)
        if free is None:
            free = self._make(item.name, pixels, mask, placed)
        else:
            self._pairs.remove(free)
            self._tool.keep_from(free.mask)
            free.key = None
            free.was_painted = False
            free.image.data = pixels
            free.mask.editable = False  # this forgets the undo of the former image
            free.mask.data = mask
            free.mask.editable = True
            free.image.name, free.mask.name = item.name, _mask_name(item.name)
        free.key = key
        self._pairs.append(free)
        self._put_all()
        self._name_classes(free.mask, key)

    def _put_all(self, *_: object) -> None:
        """Put all layers where they belong beside the others: those may be in other units."""
        for pair in self._pairs:
            if pair.key is not None and pair.key in self._session.store:
                place = place_of(self._session.store[pair.key], self._viewer)
                for layer in (pair.image, pair.mask):
                    put_at(layer, place)
        self.placed.emit()

    def _let_go(self, pair: LayerPair) -> None:
        self._tool.keep_from(pair.mask)
        pair.let_go()

    def _take_away_free(self) -> None:
        """Take the layers away that no image wants: in other units napari would warn of them."""
        if self.is_reading:  # that image takes over one pair
            return
        free = [pair for pair in self._pairs if pair.key is None]
        self._pairs = [pair for pair in self._pairs if pair.key is not None]
        for pair in free:
            self._tool.keep_from(pair.mask)
        self._take_away(free)

    def _take_away(self, pairs: Sequence[LayerPair]) -> None:
        layers = self._viewer.layers
        gone = [one for pair in pairs for one in (pair.mask, pair.image) if one in layers]
        if not gone:
            return
        with layers.batched_update():  # napari collects garbage once, which takes half a second
            for layer in gone:
                layers.remove(layer)

    def _make(self, name: str, pixels: Any, mask: Mask, placed: dict[str, Any]) -> LayerPair:
        """Return new layers, hidden: another image may be in front by now."""
        image = self._viewer.add_image(
            pixels,
            rgb=True,
            name=name,
            metadata={"medssl": {"kind": IMAGE_KIND}},
            visible=False,
            **placed,
        )
        labels = self._viewer.add_labels(
            mask,
            name=_mask_name(name),
            metadata={"medssl": {"kind": MASK_KIND}},
            opacity=0.6,
            colormap=label_colors(own=self._colors),
            visible=False,
            **placed,
        )
        labels.brush_size = 8
        labels.events.selected_label.connect(self._on_label)
        for emitter in ("labels_update", "paint", "set_data", "data"):
            getattr(labels.events, emitter).connect(self._on_touched)
        for layer in (image, labels):
            self.made.emit(layer)
        return LayerPair(None, image, labels)

    def _on_touched(self, event: Any) -> None:
        source = getattr(event, "source", None)
        for pair in self._pairs:
            if pair.key is not None and pair.mask is source:
                self._touched.add(pair.key)
                if not self._later.isActive():
                    self._later.start()

    def _note_painted(self, layer: Any) -> None:
        for pair in self._pairs:
            if pair.mask is layer:
                pair.was_painted = True

    def _on_label(self, event: Any) -> None:
        layer = self.layer(self._session.image)
        if layer is not None and getattr(event, "source", None) is layer:
            self.label_chosen.emit(self.label)

    def _on_classes(self) -> None:
        """Show classes with the colours and names that they have now."""
        own = self._session.class_colors()
        is_same, self._colors = own == self._colors, own
        for pair in self._pairs:
            if not is_same:
                pair.mask.colormap = label_colors(own=own)
            if pair.key is not None and pair.key in self._session.store:
                self._name_classes(pair.mask, pair.key)

    def _name_classes(self, layer: Any, key: int) -> None:
        """Let napari tell the name of the class under the mouse."""
        numbers = range(256)  # one that is on no list is told as the table tells it
        names = {number: f"class {number}" for number in numbers} | {0: ""}
        names |= self._session.class_names(key)
        layer.features = {"index": [*numbers], "class": [names[number] for number in numbers]}

    def _put_in_front(self, pair: LayerPair) -> None:
        layers = self._viewer.layers
        was_shown = pair.image.visible
        tool = self._tool.move_to(pair.mask)
        self._pairs.remove(pair)
        self._pairs.append(pair)  # looked at last
        for other in self._pairs[:-1]:
            other.show(False)
        pair.show(True)
        use_tool(pair.mask, tool)
        if self._is_new_set:
            self._is_new_set = False
            self.choose_listed()
        layers.selection.active = pair.mask
        if not was_shown:
            fit_view(self._viewer, pair.image)  # a slide behind it may be far larger
        self.shown.emit()
        self.label_chosen.emit(int(pair.mask.selected_label))


def _mask_name(name: str) -> str:
    return f"{name} mask"
