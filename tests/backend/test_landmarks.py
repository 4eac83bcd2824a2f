"""Landmarks by example: features and their store, matches on planted images, what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from landmark_model import PixelModel
from napari_medssl._errors import UserError
from napari_medssl.backend import landmark_choice, landmark_models
from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.backend.landmark_features import (
    FeatureStore,
    ImageFeatures,
    LandmarkModelInfo,
    MatchSettings,
)
from napari_medssl.backend.landmark_matcher import LandmarkMatcher
from napari_medssl.backend.landmark_suggestion import suggest_template
from napari_medssl.backend.landmark_values import Template
from napari_medssl.backend.match_landmarks import (
    LandmarkUse,
    PlacedTemplate,
    choose_model,
    look_at_image,
    match_landmarks,
    prepare_pairs,
    similarity_picture,
)
from napari_medssl.backend.models import ModelCard, Recipe, RegisteredModel, write_model
from napari_medssl.backend.pixel_embedding import ARCHITECTURE
from napari_medssl.methods.local_discrimination.network import (
    LocalDiscriminationNetwork,
    NetworkConfig,
)

SIDE = 200
POINTS = {"nose": (63.0, 71.0), "chin": (121.0, 138.0)}


def texture(seed: int, side: int = SIDE) -> np.ndarray:
    """A grey picture of soft blobs, unlike itself everywhere."""
    rng = np.random.default_rng(seed)
    image = sum(gaussian_filter(rng.normal(size=(side, side)), grain) * grain for grain in (4, 9))
    low, high = np.percentile(image, (1, 99))
    return np.rint(np.clip((image - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def turned(image: np.ndarray, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    """The picture turned around its middle and moved by (x, y): see `moved`."""
    middle = (image.shape[0] - 1) / 2
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    x, y = x - middle - shift[0], y - middle - shift[1]
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    found = map_coordinates(
        image.astype(float), [middle - s * x + c * y, middle + c * x + s * y], mode="reflect"
    )
    return np.rint(np.clip(found, 0, 255)).astype(np.uint8)


def moved(place, degrees, shift, side=SIDE):
    """Where `turned` takes a place."""
    middle = (side - 1) / 2
    x, y = place[0] - middle, place[1] - middle
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return middle + c * x - s * y + shift[0], middle + s * x + c * y + shift[1]


@pytest.fixture
def store():
    return FeatureStore(PixelModel())


@pytest.fixture(scope="module")
def imagenet():
    return FeatureStore(landmark_models.load_landmark_model("imagenet-landmarks", "cpu"))


def test_features_are_computed_once_and_survive_on_disk(tmp_path):
    cache = DiskCache(tmp_path, 10**8)
    store = FeatureStore(PixelModel(), cache)
    first = store.features(texture(1))
    assert store.features(texture(1)) is first
    assert store.model.runs == 1
    later = FeatureStore(PixelModel(), cache)
    again = later.features(texture(1))
    assert later.model.runs == 0
    assert (again.key, again.width, again.height) == (first.key, SIDE, SIDE)
    assert np.array_equal(again.coarse, first.coarse)
    assert all(map(np.array_equal, again.fine, first.fine))


def test_a_store_forgets_what_was_unused_for_longest():
    store = FeatureStore(PixelModel(), capacity=2)
    keys = [store.features(texture(seed)).key for seed in (1, 2)]
    store.find(keys[0])
    store.features(texture(3))
    assert store.find(keys[0]) is not None
    assert store.find(keys[1]) is None


def test_keys_tell_images_depths_and_models_apart(store):
    image = texture(1)
    other = FeatureStore(PixelModel())
    other.model.info = LandmarkModelInfo("pixels", "pixels-2")
    keys = {
        store.key_of(image),
        store.key_of(image[:-1]),
        store.key_of(image.astype(np.uint16)),
        other.key_of(image),
    }
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        (np.zeros((5, 64, 64)), "one slice"),
        (np.full((64, 64), np.nan), "not a number"),
        (np.zeros((31, 64), np.uint8), "window of matching"),
        (np.zeros((40, 400), np.uint8), "as long as wide"),
        (np.zeros((0, 64), np.uint8), "due is one picture"),
    ],
)
def test_what_is_no_picture_is_refused(store, pixels, told):
    with pytest.raises(UserError, match=told):
        store.features(pixels)


def test_bytes_give_the_same_features_back():
    rng = np.random.default_rng(0)
    maps = [rng.random((3, 4, 5)).astype(np.float16) for _ in range(3)]
    features = ImageFeatures("k", 50, 40, maps[0], (maps[1], maps[2]))
    again = ImageFeatures.from_bytes("k", features.to_bytes())
    assert (again.width, again.height, len(again.fine)) == (50, 40, 2)
    assert np.array_equal(again.fine[1], maps[2])


def test_landmarks_are_found_where_they_were_taken_to(store):
    image, turn = texture(1), (7.0, (9.0, -6.0))
    template = Template(store.features(image), POINTS)
    found = LandmarkMatcher([template]).match(store.features(turned(image, *turn)))
    assert [match.label for match in found] == list(POINTS)
    for match in found:
        assert match.is_present
        assert math.dist((match.best.x, match.best.y), moved(POINTS[match.label], *turn)) < 2.5
        assert match.best.cycle < 4
        assert 0.3 < match.best.score <= 1
        pulls = [candidate.score for candidate in match.candidates]
        assert len(pulls) <= 5


def test_an_image_of_another_size_has_places_in_its_own_pixels(store):
    image = texture(1)
    larger = np.asarray(Image.fromarray(image).resize((SIDE * 2, SIDE * 2), Image.BICUBIC))
    matcher = LandmarkMatcher([Template(store.features(image), POINTS)])
    for match in matcher.match(store.features(larger)):
        x, y = (2 * (value + 0.5) - 0.5 for value in POINTS[match.label])
        assert math.dist((match.best.x, match.best.y), (x, y)) < 4  # half a cell


def test_a_template_finds_its_own_points(store):
    features = store.features(texture(4))
    points = {"cell": (61.5, 73.5), "border": (60.0, 71.0)}  # a cell has 4 pixels
    cell, border = LandmarkMatcher([Template(features, points)]).match(features)
    assert math.dist((cell.best.x, cell.best.y), points["cell"]) < 0.4
    assert math.dist((border.best.x, border.best.y), points["border"]) < 1.5
    assert cell.best.score > 0.98
    assert cell.best.cycle < 0.8


def test_what_is_unlike_or_does_not_lead_back_is_not_in_the_image(store):
    template = Template(store.features(texture(1)), POINTS)
    image = store.features(turned(texture(1), 5.0, (4.0, 2.0)))
    for settings, is_present in (
        (MatchSettings(least_score=0.3, most_cycle=0.1), True),
        (MatchSettings(least_score=0.999, most_cycle=0.1), False),
        (MatchSettings(least_score=0.3, most_cycle=1e-6), False),
        (MatchSettings(least_likeness=0.2), True),
        (MatchSettings(least_likeness=0.999), False),
    ):
        for match in LandmarkMatcher([template], settings).match(image):
            assert match.is_present == is_present
            assert match.candidates  # still shown to whoever looks


def test_several_templates_share_their_labels(store):
    image, turn = texture(1), (4.0, (3.0, 2.0))
    other = turned(image, *turn)
    matcher = LandmarkMatcher(
        [
            Template(store.features(image), {"nose": POINTS["nose"]}),
            Template(
                store.features(other), {name: moved(at, *turn) for name, at in POINTS.items()}
            ),
        ]
    )
    assert matcher.labels == ("nose", "chin")
    found = matcher.match(store.features(turned(image, -3, (1.0, 5.0))))
    for match in found:
        assert math.dist(
            (match.best.x, match.best.y), moved(POINTS[match.label], -3, (1.0, 5.0))
        ) < (2.5)
    assert found[1].best.template == 1


def test_a_similarity_picture_lies_over_its_image(store):
    features = store.features(texture(1))
    picture = LandmarkMatcher([Template(features, POINTS)]).similarity(features, "nose")
    row, column = np.unravel_index(picture.values.argmax(), picture.values.shape)
    x = picture.first[0] + column * picture.step[0]
    y = picture.first[1] + row * picture.step[1]
    assert math.dist((x, y), POINTS["nose"]) < 1.5 * picture.step[0]


def test_templates_without_landmarks_or_with_wrong_ones_are_refused(store):
    features = store.features(texture(1))
    with pytest.raises(UserError, match="no landmarks"):
        LandmarkMatcher([Template(features, {})])
    with pytest.raises(UserError, match="'nose' at 500, 2 lies outside"):
        LandmarkMatcher([Template(features, {"nose": (500, 2)})])
    with pytest.raises(UserError, match=r"landmark 'ear'.*nose, chin"):
        LandmarkMatcher([Template(features, POINTS)]).match(features, ["ear"])


def test_a_window_matches_by_keys(monkeypatch, tmp_path):
    monkeypatch.setattr(landmark_models, "load_landmark_model", lambda *_: PixelModel())
    use = LandmarkUse("pixels", cache=str(tmp_path))
    image, turn = texture(1), (5.0, (4.0, 4.0))
    Image.fromarray(turned(image, *turn)).save(tmp_path / "b.png")
    seen = [look_at_image(use, image), look_at_image(use, tmp_path / "b.png")]
    templates = [PlacedTemplate(seen[0].key, POINTS)]
    assert prepare_pairs(use, [seen[0].key], [seen[1].key, "?"]) == ("?",)
    told = []
    found = match_landmarks(use, templates, [seen[1].key, "?"], ["chin"], on_progress=told.append)
    assert [step.values["found"] for step in told] == list(found)
    (chin,) = found[0].matches
    assert math.dist((chin.best.x, chin.best.y), moved(POINTS["chin"], *turn)) < 2.5
    assert found[1].gone == ("?",)
    assert match_landmarks(use, [PlacedTemplate("!", POINTS)], ["?"])[0].gone == ("!", "?")
    assert similarity_picture(use, templates, seen[1].key, "nose").values.ndim == 2
    assert similarity_picture(use, templates, "?", "nose") is None


def test_the_next_template_is_of_the_kind_that_is_served_worst(store):
    kinds = {seed: [turned(texture(seed), 0, (2 * n, n)) for n in range(4)] for seed in (1, 2)}
    images = {seed: [store.features(image) for image in kinds[seed]] for seed in kinds}
    template, *served = images[1]
    found = suggest_template([template], [*images[1], *images[2]])
    assert found.key in {image.key for image in images[2]}
    assert set(found.helps) == {image.key for image in images[2]} - {found.key}
    certain = {image.key: 0.0 for image in images[2]}
    assert suggest_template([template], [*images[1], *images[2]], certain).key in {
        image.key for image in served
    }
    assert suggest_template([template], [template]) is None


def test_imagenet_finds_planted_landmarks_in_grey_and_colour(imagenet):
    image, turn = texture(1), (6.0, (8.0, 5.0))
    colour = np.repeat(turned(image, *turn)[..., None], 3, axis=2)
    template = imagenet.features(image)
    assert template.coarse.dtype == np.float16
    length = np.linalg.norm(template.fine[0].astype(np.float32), axis=0)
    assert np.allclose(length, 1, atol=2e-3)
    matcher = LandmarkMatcher([Template(template, POINTS)], imagenet.model.info.settings)
    for match in matcher.match(imagenet.features(colour)):
        assert match.is_present
        assert math.dist((match.best.x, match.best.y), moved(POINTS[match.label], *turn)) < 4


def test_an_image_of_another_kind_has_no_landmark(imagenet):
    y, x = np.mgrid[:SIDE, :SIDE]
    rings = np.rint(127 + 120 * np.sin(np.hypot(x - 90, y - 110) / 3)).astype(np.uint8)
    matcher = LandmarkMatcher(
        [Template(imagenet.features(texture(1)), POINTS)], imagenet.model.info.settings
    )
    assert not any(match.is_present for match in matcher.match(imagenet.features(rings)))


def test_cards_that_say_what_their_images_look_like_decide(monkeypatch):
    plain, striped = texture(1), np.tile(np.arange(SIDE, dtype=np.uint8) % 16 * 16, (SIDE, 1))
    look = landmark_choice.look_of([striped, np.flipud(striped), striped[10:, 10:]])
    card = ModelCard(
        name="stripes",
        task="local-discrimination",
        architecture="a",
        config={"landmarks": {"look": look}},
        recipe=Recipe(),
        data=(),
        metrics={},
        licence="BSD-3-Clause",
        version="1",
    )
    known = (RegisteredModel(card, Path("stripes.safetensors"), True),)
    assert landmark_choice.choose_landmark_model([plain]) == "imagenet-landmarks"
    monkeypatch.setattr(landmark_choice, "list_models", lambda: known)
    assert landmark_choice.choose_landmark_model([plain]) == "imagenet-landmarks"
    assert landmark_choice.choose_landmark_model([striped]) == "stripes"
    assert choose_model(striped) == "stripes"


def test_a_trained_model_is_used_alone_and_beside_another(tmp_path, monkeypatch):
    shape = {"channels": 1, "width": 4, "dim": 8, "clusters": 3, "stride": 2}
    network = LocalDiscriminationNetwork(NetworkConfig(**shape))
    for name, landmarks in (("alone", {"window": 3}), ("joint", {"beside": "imagenet-landmarks"})):
        card = ModelCard(
            name=name,
            task="local-discrimination",
            architecture=ARCHITECTURE,
            config=shape | {"pixels": 64, "grid": 8, "sigma": 0.25, "landmarks": landmarks},
            recipe=Recipe(),
            data=(),
            metrics={},
            licence="BSD-3-Clause",
            version="1",
        )
        write_model(tmp_path / f"{name}.safetensors", network.state_dict(), card)
    alone = landmark_models.load_landmark_model(tmp_path / "alone.safetensors", "cpu")
    assert (alone.info.name, alone.info.settings.window) == ("alone", 3)
    coarse, fine = alone.maps(texture(1))
    assert (coarse.shape, [maps.shape for maps in fine]) == ((8, 32, 32), [(8, 64, 64)])
    assert np.allclose(np.linalg.norm(fine[0].astype(float), axis=0), 1, atol=2e-3)
    monkeypatch.setattr(
        landmark_models, "_imagenet", lambda device, statistics: PixelModel(cells=64)
    )
    joint = landmark_models.load_landmark_model(str(tmp_path / "joint.safetensors"), "cpu")
    assert joint.info.name == "joint"
    assert "+pixels-1-" in joint.info.identity
    coarse, fine = joint.maps(texture(1))
    assert (coarse.shape, [maps.shape[0] for maps in fine]) == ((17, 32, 32), [17])
    assert np.allclose(np.linalg.norm(coarse.astype(float), axis=0), 1, atol=2e-3)


def test_settings_come_from_the_card():
    wanted = {"window": 7, "pull": 1, "beside": "imagenet-landmarks", "look": {}}
    settings = landmark_models._settings_of(wanted, "m")
    assert (settings.window, settings.pull, settings.sigma) == (7, 1.0, 0.3)
    alone = landmark_models._settings_of({"window": 7}, "m")
    assert (alone.window, alone.sigma) == (7, 0.25)
    with pytest.raises(UserError, match="card of model 'm'"):
        landmark_models._settings_of({"window": "wide"}, "m")


def test_unknown_models_are_told_with_the_known_ones():
    with pytest.raises(UserError, match=r"'nothing'.*imagenet-landmarks"):
        landmark_models.load_landmark_model("nothing", "cpu")
    with pytest.raises(UserError, match=r"'simcfs-figures' is for the task .*local-discrim"):
        landmark_models.load_landmark_model("simcfs-figures", "cpu")
