"""Match landmarks on demand, for a window: of a template, in every open image.

The functions are called in the compute process (`backend.compute_process`), so they take and give
what can be pickled. An image is looked at once, by `look_at_image`, which gives its key; what
follows names images by their keys alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.backend.folders import cache_folder
from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    ignore,
    never,
)
from napari_medssl.backend.landmark_features import FeatureStore, check_landmark_image
from napari_medssl.backend.landmark_fields import FieldCache
from napari_medssl.backend.landmark_matcher import LandmarkMatcher
from napari_medssl.backend.landmark_suggestion import Suggestion, suggest_template
from napari_medssl.backend.landmark_values import LandmarkMatch, Place, SimilarityPicture, Template
from napari_medssl.backend.model_cache import ModelCache
from napari_medssl.io.images import ImageRef

CACHE = "landmarks"
"""Name of the part of the cache folder where features lie."""

DEFAULT_CACHE_BYTES = 2_000_000_000

_STORES: ModelCache[FeatureStore] = ModelCache(capacity=2)
_FIELDS = FieldCache()


@dataclass(frozen=True, slots=True)
class LandmarkUse:
    """With what landmarks are matched.

    Attributes
    ----------
    model
        Name or file, see `backend.landmark_models`.
    device
        Where it runs.
    cache
        Cache folder as in the settings, "" for the usual one; None keeps nothing on disk.
    cache_bytes
        Size that the part of it is held to.
    """

    model: str
    device: str = "auto"
    cache: str | None = ""
    cache_bytes: int = DEFAULT_CACHE_BYTES


@dataclass(frozen=True, slots=True)
class SeenImage:
    """An image whose features are kept: its key, and its size in pixels."""

    key: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class PlacedTemplate:
    """A template by the key of its image, with places in pixels by label."""

    key: str
    points: Mapping[str, Place]


@dataclass(frozen=True, slots=True)
class ImageMatches:
    """The landmarks found in one image.

    Attributes
    ----------
    key
        Of the image.
    matches
        In the order of the labels; none if features were gone.
    gone
        Keys of images, this one or templates, whose features are not kept any more: look at them
        again with `look_at_image`. It happens after the compute process died without a cache.
    """

    key: str
    matches: tuple[LandmarkMatch, ...] = ()
    gone: tuple[str, ...] = ()


def choose_model(
    source: NDArray[np.generic] | Path | str,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> str:
    """Return the name of the registered model that fits an image best, such as the template.

    Parameters and errors are those of `look_at_image`.
    """
    from napari_medssl.backend.landmark_choice import choose_landmark_model

    return choose_landmark_model([check_landmark_image(_pixels(source))])


def look_at_image(
    use: LandmarkUse,
    source: NDArray[np.generic] | Path | str,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> SeenImage:
    """Compute the features of an image, or find them in the cache, and return its key.

    Parameters
    ----------
    source
        Pixels, shape (Y, X) or (Y, X, 3); or the file of a picture ("scan.tif#page=2" too).

    Raises
    ------
    UserError
        If the image or the model cannot be used, see `check_landmark_image`.
    Cancelled
        If `should_stop` said so.
    """
    found = feature_store(use).features(_pixels(source), should_stop=should_stop)
    return SeenImage(found.key, found.width, found.height)


def prepare_pairs(
    use: LandmarkUse,
    templates: Sequence[str],
    images: Sequence[str],
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> tuple[str, ...]:
    """Lay templates over images, both by key, so that the first `match_landmarks` is quick.

    Returns
    -------
    tuple of str
        Keys whose features are gone, see `ImageMatches`.

    Raises
    ------
    Cancelled
        If `should_stop` said so, within one pair.
    """
    store = feature_store(use)
    smoothness = store.model.info.settings.smoothness
    known = {key: store.find(key) for key in dict.fromkeys((*templates, *images))}
    pairs = [(known[t], known[i]) for i in images for t in templates if t != i]
    for done, (template, image) in enumerate(pairs):
        if should_stop():
            raise Cancelled
        if template is not None and image is not None:
            _FIELDS.overlay(template, image, smoothness)
            _FIELDS.overlay(image, template, smoothness)
        on_progress(Progress(done + 1, len(pairs), "laying the template over the images"))
    return tuple(key for key, features in known.items() if features is None)


def match_landmarks(
    use: LandmarkUse,
    templates: Sequence[PlacedTemplate],
    images: Sequence[str],
    labels: Sequence[str] | None = None,
    *,
    count: int = 5,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> tuple[ImageMatches, ...]:
    """Return where landmarks of templates are in images, in the order of the images' keys.

    Each is reported as soon as it is there, in `Progress.values["found"]`.

    Parameters
    ----------
    labels
        Of the templates; all by default. For a click, the one that was clicked.
    count
        Most candidates of each landmark.

    Raises
    ------
    UserError
        If there is no landmark, a label is unknown, or a point lies outside its template.
    Cancelled
        If `should_stop` said so, within one image.
    """
    store = feature_store(use)
    matcher, gone = _matcher(store, templates)
    found = []
    for done, key in enumerate(images):
        if should_stop():
            raise Cancelled
        image = store.find(key)
        if matcher is None or image is None:
            matches = ImageMatches(key, gone=gone if image is not None else (*gone, key))
        else:
            matches = ImageMatches(key, matcher.match(image, labels, count=count))
        found.append(matches)
        on_progress(Progress(done + 1, len(images), "matching", {"found": matches}))
    return tuple(found)


def similarity_picture(
    use: LandmarkUse,
    templates: Sequence[PlacedTemplate],
    image: str,
    label: str,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> SimilarityPicture | None:
    """Return how like a landmark each cell of an image looks; None if features are gone.

    Raises as `match_landmarks`.
    """
    store = feature_store(use)
    matcher, _ = _matcher(store, templates)
    features = store.find(image)
    return None if matcher is None or features is None else matcher.similarity(features, label)


def suggest_next_template(
    use: LandmarkUse,
    templates: Sequence[str],
    images: Sequence[str],
    uncertainty: Mapping[str, float] | None = None,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Suggestion | None:
    """Return which image helps most as a further template, see `landmark_suggestion`.

    Templates and images are keys; those whose features are gone are passed over.
    """
    store = feature_store(use)
    known = [[f for key in keys if (f := store.find(key))] for keys in (templates, images)]
    return suggest_template(known[0], known[1], uncertainty)


def feature_store(use: LandmarkUse) -> FeatureStore:
    """Return the store of a model, loaded once in a process."""
    from napari_medssl.backend.landmark_models import load_landmark_model

    def load() -> FeatureStore:
        cache = None
        if use.cache is not None:
            cache = DiskCache(cache_folder(use.cache) / CACHE, use.cache_bytes)
        return FeatureStore(load_landmark_model(use.model, use.device), cache)

    return _STORES.get(use, load)


def _pixels(source: NDArray[np.generic] | Path | str) -> NDArray[np.generic]:
    from napari_medssl.backend.landmark_files import read_picture

    return source if isinstance(source, np.ndarray) else read_picture(ImageRef.parse(source))


def _matcher(
    store: FeatureStore, templates: Sequence[PlacedTemplate]
) -> tuple[LandmarkMatcher | None, tuple[str, ...]]:
    """Return a matcher; or None, and the keys of templates whose features are gone."""
    known = [(store.find(template.key), template) for template in templates]
    gone = tuple(template.key for features, template in known if features is None)
    if gone:
        return None, gone
    chosen = [Template(features, t.points) for features, t in known if features is not None]
    return LandmarkMatcher(chosen, store.model.info.settings, _FIELDS), ()
