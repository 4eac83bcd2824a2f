"""The similarity of the query over the slide in front, as an image layer with a threshold."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QLabel, QSlider, QVBoxLayout, QWidget

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import error_text
from napari_medssl.backend.similarity_map import SimilarityMap, similarity_map
from napari_medssl.index.arrays import SHARD_ROWS
from napari_medssl.index.collection import SearchCollection
from napari_medssl.widgets._background import Background
from napari_medssl.widgets.similar.heatmap_fade import MOST_OPACITY, HeatmapFade
from napari_medssl.widgets.similar.session import SimilarSession
from napari_medssl.widgets.similar.slide_places import ShownSlide, SlidePlaces
from napari_medssl.widgets.similar.threshold import Threshold

LAYER_NAME = "similarity"
_STEPS = 1000
_AGAIN_MS = 1500  # until a slide that is being indexed is looked at again


def make_map(
    collection: SearchCollection, direction: NDArray[np.float32], slide: str
) -> SimilarityMap:
    """Return the map of a slide, or of what is embedded of it so far; blocks.

    Raises
    ------
    UserError
        If nothing of it is indexed.
    """
    return similarity_map(collection.score_slide(direction, slide))


class HeatmapPanel(QWidget):
    """A switch, a threshold, and what lies above it; keeps the layer.

    Signals
    -------
    failed
        Why there is no heatmap.
    """

    failed = Signal(str)

    def __init__(
        self, viewer: Any, session: SimilarSession, places: SlidePlaces, threshold: Threshold
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._session = session
        self._places = places
        self._least = threshold
        self._map: SimilarityMap | None = None
        self._slide: ShownSlide | None = None
        self.layer: Any = None
        self._shown = -1.0  # threshold that the layer was made with
        self._is_ours = False  # whether a change of the layer is our own
        self._growing = ""  # fingerprint of the slide that is indexed from here
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.setInterval(_AGAIN_MS)
        self._again.timeout.connect(self.update_map)
        self.background = Background("medssl-similar-map", self)
        self.switch = QCheckBox("Heatmap over the slide in front")
        self.switch.setToolTip("Show how similar every indexed tile of the slide is (Shift+H)")
        self.switch.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.switch.toggled.connect(self.update_map)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _STEPS)
        self.slider.setToolTip(
            "Show only tiles that are at least so similar; the counts of the page Concepts follow"
        )
        self.slider.setAccessibleName("Least similarity")
        self.slider.valueChanged.connect(self._on_slider)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setToolTip("What lies above the threshold")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        for widget in (self.switch, self.slider, self.words):
            layout.addWidget(widget)
        layout.addStretch(1)
        session.answered.connect(self.update_map)
        threshold.changed.connect(self._on_threshold)
        places.front_changed.connect(self.update_map)
        self._fade = HeatmapFade(viewer, self)
        viewer.layers.events.removed.connect(self._on_layer_removed)
        self._tell()

    @property
    def threshold(self) -> float:
        """Least similarity that is shown: all tiles, as long as nobody chose one."""
        return -1.0 if self._least.chosen is None else self._least.chosen

    @property
    def is_shown(self) -> bool:
        """True while the layer is to be seen."""
        return self.layer is not None and bool(self.layer.visible)

    def set_threshold(self, similarity: float) -> None:
        """Show only tiles of at least a similarity."""
        self._least.choose(similarity)

    def update_map(self, _is_on: bool = True) -> None:
        """Make the map of the present query anew, or take it away."""
        self._again.stop()
        answer, front = self._session.answer, self._places.front
        if not self.switch.isChecked() or answer is None or front is None:
            self._drop()
            return
        if self._slide is not None and self._slide.layer is not front.layer:
            self._drop()  # what lies over another slide means nothing on this one
        work = partial(make_map, answer.question.collection, answer.direction, front.fingerprint)
        refuse = partial(self._refuse, front)
        self.background.submit("map", work, partial(self._take, front), refuse)

    def grow(self, slide: str) -> None:
        """Look again and again at a slide that is being indexed, by its fingerprint; "" for none.

        One that another program is indexing is looked at again too, once anything of it is there.
        """
        self._growing = slide
        self.update_map()

    def _is_whole(self, slide: ShownSlide) -> bool:
        return slide.fingerprint in self._session.records

    def _drop(self) -> None:
        self.background.drop("map")
        self._map = self._slide = None
        self._set_visible(False)
        self._tell()

    def _refuse(self, slide: ShownSlide, error: BaseException) -> None:
        self._drop()
        if self._is_whole(slide) or not isinstance(error, UserError):
            self.failed.emit(error_text(error))
        elif slide.fingerprint == self._growing:
            self.words.setText(
                f"This slide is shown as soon as {SHARD_ROWS} of its tiles are embedded, or all."
            )
            self._again.start()
        else:
            self.words.setText("The slide in front is not indexed: index it to see a heatmap.")

    def _take(self, slide: ShownSlide, made: SimilarityMap) -> None:
        if slide.layer not in self._viewer.layers:
            return
        self._map, self._slide = made, slide
        if self.layer is not None:
            self._lay_over(made, slide)
        self._show()
        if not self._is_whole(slide):
            self._again.start()

    def _on_slider(self, value: int) -> None:
        if self._map is not None:
            low, high = self._map.limits
            self._least.choose(low + (high - low) * value / _STEPS if value else None)

    def _on_threshold(self) -> None:
        if self._map is not None and self._shown != self.threshold:
            self._show()

    def _set_slider(self) -> None:
        """Put the slider where the threshold is on this slide."""
        if self._map is not None:
            low, high = self._map.limits
            part = 0.0 if self._least.chosen is None else (self.threshold - low) / (high - low)
            former = self.slider.blockSignals(True)
            self.slider.setValue(round(min(max(part, 0.0), 1.0) * _STEPS))
            self.slider.blockSignals(former)

    def _show(self) -> None:
        if self._map is None or self._slide is None:
            return
        self._shown = self.threshold
        self._set_slider()
        values, count = self._map.above(self.threshold)
        if self.layer is not None:  # to add a layer anew takes napari a fifth of a second
            self.layer.data = values
            self.layer.contrast_limits = self._map.limits
            self._set_visible(True)
        else:
            self._make(values, self._map, self._slide)
        self._tell(count)

    def _lay_over(self, made: SimilarityMap, slide: ShownSlide) -> None:
        """Put the layer that is there onto another slide, or another grid of it."""
        self.layer.scale, self.layer.translate = _placed(made, slide)
        self.layer.units = slide.layer.units
        layers = self._viewer.layers
        if layers.index(self.layer) < layers.index(slide.layer):
            layers.move(layers.index(self.layer), layers.index(slide.layer) + 1)

    def _make(self, values: NDArray[np.float32], made: SimilarityMap, slide: ShownSlide) -> None:
        layers = self._viewer.layers
        selected, shown = layers.selection.active, slide.layer
        scale, translate = _placed(made, slide)
        self._is_ours = True
        self.layer = self._viewer.add_image(
            values,
            name=LAYER_NAME,
            scale=scale,
            translate=translate,
            units=shown.units,
            colormap="viridis",
            contrast_limits=made.limits,
            opacity=MOST_OPACITY,
            blending="translucent",
            metadata={"medssl": {"kind": "similarity", "step": made.step}},
        )
        layers.move(layers.index(self.layer), layers.index(shown) + 1)
        self.layer.events.visible.connect(self._on_visible)
        self._fade.follow(self.layer)
        if selected is not None and selected in layers:
            layers.selection.active = selected
        self._is_ours = False

    def _set_visible(self, is_visible: bool) -> None:
        """Show or hide the layer; to take it away and make it anew takes napari half a second."""
        if self.layer is not None and self.layer.visible != is_visible:
            self._is_ours = True
            self.layer.visible = is_visible
            self._is_ours = False

    def _on_visible(self, _event: Any = None) -> None:
        """Follow the eye in napari's list of layers."""
        if not self._is_ours and self.layer is not None:
            self.switch.setChecked(self.layer.visible)

    def _remove(self) -> None:
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def _on_layer_removed(self, event: Any) -> None:
        """Switch off where a person took the layer away."""
        if event.value is self.layer and not self._is_ours:
            self.layer = None
            self.switch.setChecked(False)

    def _tell(self, count: int = 0) -> None:
        self.slider.setEnabled(self._map is not None)
        if self._map is None or self._slide is None:
            self.words.setText("Pick a tile first." if self.switch.isChecked() else "")
            return
        is_chosen = self._least.chosen is not None
        least = f"similarity ≥ {self.threshold:.3f}" if is_chosen else "all similarities"
        parts = [least, f"{count} tiles"]
        mpp = self._places.mpp_of(self._slide.fingerprint)
        if mpp is not None:
            parts.append(f"{self._map.area_mm2(count, (mpp, mpp)):.3g} mm²")
        if not self._is_whole(self._slide):
            parts.append("indexed so far")
        self.words.setText(" · ".join(parts))

    def close_down(self) -> None:
        """Stop the thread and take the layer away."""
        self._again.stop()
        self._fade.close()
        self.background.close()
        self._viewer.layers.events.removed.disconnect(self._on_layer_removed)
        self._remove()


def _placed(made: SimilarityMap, slide: ShownSlide) -> tuple[list[float], list[float]]:
    """Return scale and translation `(y, x)` of a map over its slide."""
    scale = [float(one) for one in slide.layer.scale[-2:]]
    # napari places the middle of a pixel, a location counts from the corner of the slide.
    translate = [one * (place - 0.5) for one, place in zip(scale, made.middle[::-1], strict=True)]
    return [one * made.step for one in scale], translate
