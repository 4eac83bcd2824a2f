"""What is told of a single panel: its kind, its hash, its letter."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from napari_medssl.methods.simcfs.duplicates import PanelIndex, perceptual_hash
from napari_medssl.methods.simcfs.letters import trim_letter
from napari_medssl.methods.simcfs.panel_kind import drawn_share, panel_kind

TRUTH = Path(__file__).parent / "truth" / "panel_kinds.csv"


def smooth(seed, size=(120, 160)):
    coarse = np.random.default_rng(seed).integers(0, 230, (21, 27, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))


def drawing(size=(120, 160)):
    image = Image.new("RGB", size[::-1], "white")
    pen = ImageDraw.Draw(image)
    pen.line([20, 5, 20, 100, 150, 100], fill="black")
    pen.line([20, 90, 60, 40, 100, 60, 150, 10], fill="red")
    pen.text((60, 105), "time (s)", fill="black")
    return np.asarray(image)


def distance(first, second):
    return int(np.bitwise_count(perceptual_hash(first) ^ perceptual_hash(second)).sum())


def with_strip(picture, height=30, mark=(0, 5, 14, 20)):
    """White rows above a picture, with a black mark (x0, y0, x1, y1) in them."""
    strip = np.full((height, picture.shape[1], 3), 255, np.uint8)
    x0, y0, x1, y1 = mark
    strip[y0:y1, x0:x1] = 0
    return np.concatenate([strip, picture])


def test_drawn_share_equals_the_block_loop():
    """The share agrees with a loop over blocks and pixels."""
    image = np.random.default_rng(0).integers(0, 255, (25, 18, 3)).astype(np.uint8)
    shares = []
    for y in range(0, 24, 8):
        for x in range(0, 16, 8):
            block = [
                (77 * int(r) + 150 * int(g) + 29 * int(b)) >> 8
                for r, g, b in image[y : y + 8, x : x + 8].reshape(-1, 3)
            ]
            low, high = min(block), max(block)
            if high - low > 24:
                reach = 0.15 * (high - low)
                shares += [v - low <= reach or high - v <= reach for v in block]
    assert drawn_share(image) == pytest.approx(np.mean(shares))


def test_kind_tells_pictures_from_drawings():
    """A smooth noisy picture is a photograph; lines and text on paper are not."""
    noisy = smooth(0) + np.random.default_rng(0).integers(0, 24, (120, 160, 3)).astype(np.uint8)
    assert panel_kind(noisy) == "photo"
    assert panel_kind(drawing()) == "plot"


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (9, 9)])
def test_tiny_and_blank_panels_are_told(size):
    """No size raises, and a blank panel is no photograph."""
    image = np.full((*size, 3), 255, np.uint8)
    assert panel_kind(image) == "plot"
    assert perceptual_hash(image).shape == (4,)
    assert trim_letter(image) == (0, 0, size[1], size[0])


@pytest.mark.data
def test_kind_on_labelled_panels(data_dir):
    """At least 90 % of hand-labelled panels of real figures get their kind."""
    right = {"photo": [], "plot": []}
    with TRUTH.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["kind"] != "mixed"]
    for row in rows:
        figure = Image.open(data_dir / row["folder"] / row["file_name"]).convert("RGB")
        panel = figure.crop([int(row[name]) for name in ("x0", "y0", "x1", "y1")])
        right[row["kind"]].append(panel_kind(np.asarray(panel)) == row["kind"])
    assert len(right["photo"]) + len(right["plot"]) == 161
    assert np.mean(right["photo"] + right["plot"]) > 0.9
    assert min(np.mean(right["photo"]), np.mean(right["plot"])) > 0.88


def test_copies_lie_near_and_others_far():
    """A rescaled, brighter JPEG of a picture is near it; another picture is far."""
    picture = smooth(1)
    copy = Image.fromarray(picture).resize((100, 75)).point(lambda v: min(255, int(v * 1.1)))
    stream = io.BytesIO()
    copy.save(stream, "JPEG", quality=60)
    assert distance(picture, np.asarray(Image.open(stream))) <= 40
    assert distance(picture, smooth(2)) > 60


def test_index_finds_as_a_loop_does():
    """The store gives the nearest panel within the limit, over its growth."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2**63, (600, 4)).astype(np.uint64)
    index = PanelIndex(near_bits=90)
    for number, code in enumerate(codes):
        index.add(code, 1.0, str(number))
    assert len(index) == 600
    for query in rng.integers(0, 2**63, (20, 4)).astype(np.uint64):
        distances = [sum(int(w).bit_count() for w in (query ^ code)) for code in codes]
        expected = str(int(np.argmin(distances))) if min(distances) <= 90 else None
        assert index.find(query, 1.0) == expected


def test_index_asks_for_like_shape():
    """The same hash of a panel of another shape is no duplicate."""
    index = PanelIndex()
    code = perceptual_hash(smooth(3))
    index.add(code, 1.0, "square")
    assert index.find(code, 1.1) == "square"
    assert index.find(code, 2.0) is None
    assert PanelIndex(near_bits=-1).find(code, 1.0) is None


def test_letter_above_a_picture_is_cut():
    """The strip with the letter goes, the picture stays whole."""
    picture = smooth(4)
    assert trim_letter(with_strip(picture)) == (0, 30, 160, 150)


def test_letter_beside_a_picture_is_cut():
    """Letters to the left are cut as those above."""
    panel = with_strip(smooth(4).transpose(1, 0, 2)).transpose(1, 0, 2)
    assert trim_letter(np.ascontiguousarray(panel)) == (30, 0, 190, 120)


@pytest.mark.parametrize("mark", [(0, 5, 90, 20), (70, 5, 84, 20), (0, 5, 14, 30)])
def test_titles_and_touching_marks_stay(mark):
    """A wide title, a mark in the middle and one that touches the picture are no letters."""
    panel = with_strip(smooth(4), mark=mark)
    assert trim_letter(panel) == (0, 0, 160, 150)


def test_letter_on_dark_ground_stays():
    """On a dark ground a mark may be part of the picture."""
    panel = 255 - with_strip(255 - smooth(4) // 2)
    assert trim_letter(panel) == (0, 0, 160, 150)
