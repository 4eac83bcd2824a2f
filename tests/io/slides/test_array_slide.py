"""A picture in memory is a slide: pyramid, edges, fingerprint, and the errors of every source."""

import threading

import numpy as np
import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.io.slides import ArraySlide, Slide, open_slide
from napari_medssl.io.slides.halving import halve
from napari_medssl.io.slides.level_slide import Level, check_levels, plausible_mpp


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_it_is_a_slide():
    slide = ArraySlide(noise(1000, 1501), mpp=0.5)
    assert not [name for name in dir(Slide) if name[0] != "_" and not hasattr(slide, name)]
    assert slide.dimensions == (1501, 1000)
    assert slide.level_dimensions == ((1501, 1000), (751, 500), (376, 250))
    assert slide.level_downsamples == (1.0, 2.0, 4.0)
    assert slide.mpp == (0.5, 0.5)
    assert not slide.associated_images


@pytest.mark.parametrize(("height", "width"), [(2, 2), (6, 8), (7, 8), (6, 9), (5, 5), (1, 1)])
def test_halving_is_the_rounded_mean_of_the_pixels_that_are_there(height, width):
    pixels = noise(height, width)
    found = halve(pixels)
    assert found.shape == ((height + 1) // 2, (width + 1) // 2, 3)
    for y in range(found.shape[0]):
        for x in range(found.shape[1]):
            block = pixels[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].astype(float)
            due = np.floor(block.mean((0, 1)) + 0.5)
            assert (found[y, x] == due).all()


def test_levels_are_halves_of_the_one_before():
    pixels = noise(1100, 1300)
    slide = ArraySlide(pixels)
    once = halve(pixels)
    assert (slide.read_pixels(1, (10, 20), (100, 50)) == once[20:70, 10:110]).all()
    assert (slide.read_pixels(2, (0, 0), slide.level_dimensions[2]) == halve(once)).all()


def test_outside_is_white_and_a_read_is_the_callers_own():
    pixels = noise(30, 40)
    slide = ArraySlide(pixels)
    found = slide.read_region((-5, -7), 0, (50, 45))
    due = np.full((45, 50, 3), 255, np.uint8)
    due[7:37, 5:45] = pixels
    assert (found == due).all()
    assert (slide.read_region((1000, 0), 0, (3, 2)) == 255).all()
    slide.read_region((0, 0), 0, (40, 30))[:] = 0
    assert (slide.read_region((0, 0), 0, (40, 30)) == pixels).all()


def test_a_region_of_a_level_starts_at_the_nearest_pixel():
    slide = ArraySlide(noise(1200, 1200))
    for location, corner in [((8, 12), (2, 3)), ((9, 13), (2, 3)), ((10, 14), (3, 4))]:
        found = slide.read_region(location, 2, (16, 16))
        assert (found == slide.read_pixels(2, corner, (16, 16))).all()


def test_a_batch_is_its_reads():
    slide = ArraySlide(noise(600, 700))
    corners = [(0, 0), (650, 580), (-3, 8)]
    batch = slide.read_many(0, corners, (60, 40))
    assert batch.shape == (3, 40, 60, 3)
    for row, corner in zip(batch, corners, strict=True):
        assert (row == slide.read_pixels(0, corner, (60, 40))).all()


def test_lower_levels_are_made_once_by_many_threads(monkeypatch):
    made = []
    monkeypatch.setattr(
        "napari_medssl.io.slides.array_slide.halve", lambda p: (made.append(1), halve(p))[1]
    )
    slide = ArraySlide(noise(2000, 2000))
    assert not made
    readers = [
        threading.Thread(target=slide.read_pixels, args=(2, (0, 0), (9, 9))) for _ in range(8)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(made) == 2


def test_the_fingerprint_is_of_the_content():
    pixels = noise(300, 300)
    changed = pixels.copy()
    changed[0, 0, 0] ^= 1
    assert ArraySlide(pixels).fingerprint == ArraySlide(pixels.copy(), mpp=2).fingerprint
    assert ArraySlide(pixels).fingerprint != ArraySlide(changed).fingerprint
    assert ArraySlide(pixels).fingerprint != ArraySlide(pixels.reshape(150, 600, 3)).fingerprint
    assert len(ArraySlide(pixels).fingerprint) == 32


def test_other_types_become_rgb():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (ArraySlide(grey).read_pixels(0, (0, 0), (16, 16)) == grey[..., None]).all()
    clear = np.zeros((4, 4, 4), np.uint8)
    assert (ArraySlide(clear).read_pixels(0, (0, 0), (4, 4)) == 255).all()
    wide = ArraySlide(np.full((4, 4), 65535, np.uint16))
    assert (wide.read_pixels(0, (0, 0), (4, 4)) == 255).all()


@pytest.mark.parametrize(
    "bad", [np.zeros((0, 4)), np.zeros(5), np.zeros((3, 4, 5)), np.zeros((2, 2), "U1")]
)
def test_arrays_that_are_no_picture_are_refused(bad):
    with pytest.raises(UserError, match=r"due is \(Y, X\) or \(Y, X, 3\)"):
        ArraySlide(bad)


def test_requests_that_make_no_sense_are_told():
    slide = ArraySlide(noise(20, 20), name="a.png")
    with pytest.raises(UserError, match=r"Level 3 is not in 'a.png': it has 1"):
        slide.read_region((0, 0), 3, (2, 2))
    with pytest.raises(UserError, match=r"100000 x 100000 pixels of 'a.png' at once"):
        slide.read_region((0, 0), 0, (100_000, 100_000))
    with pytest.raises(UserError, match="Cannot read -1 x 2 pixels"):
        slide.read_region((0, 0), 0, (-1, 2))
    with pytest.raises(UserError, match="mpp is 0; due are microns per pixel"):
        ArraySlide(noise(2, 2), mpp=0)
    with slide:
        assert slide.read_region((0, 0), 0, (2, 2)).shape == (2, 2, 3)
    with pytest.raises(UserError, match=r"'a.png' is closed"):
        slide.read_region((0, 0), 0, (2, 2))


@pytest.mark.parametrize("x", ["-1e308", "nan", "inf", "", None, "0", "a"])
def test_sizes_that_no_pixel_has_are_no_mpp(x):
    assert plausible_mpp(x, "0.5") is None
    assert plausible_mpp("0.25", "0.5") == (0.25, 0.5)


@pytest.mark.parametrize(
    ("level", "text"),
    [
        (Level(2_000_000_000, 2_000_000_000, 1.0), "2000000000 x 2000000000 pixels; the limit"),
        (Level(0, 5, 1.0), "0 x 5 pixels"),
        (Level(5, 5, float("nan")), "a level is nan times smaller"),
        (Level(5, 5, 1.0, 100_000, 100_000), "its tiles are 100000 x 100000"),
    ],
)
def test_absurd_geometry_is_refused(level, text):
    with pytest.raises(UserError, match=text):
        check_levels("x.svs", [level])
    with pytest.raises(UserError, match="has 100 levels"):
        check_levels("x.svs", [Level(5, 5, 1.0)] * 100)


def test_a_picture_opens_as_a_slide_and_is_known_again_elsewhere(tmp_path):
    pixels = noise(90, 120)
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    Image.fromarray(pixels).save(first)
    second.write_bytes(first.read_bytes())
    with open_slide(first) as one, open_slide(str(second)) as two:
        assert (one.read_region((0, 0), 0, (120, 90)) == pixels).all()
        assert one.fingerprint == two.fingerprint
        assert (one.name, one.source) == ("a.png", str(first))


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("gone.svs", None, "there is no such file"),
        ("empty.svs", b"", "'empty.svs': the file is empty"),
        ("text.svs", b"hello", "'text.svs' as a slide: the file is damaged"),
        ("text.txt", b"hello", "of a kind that is not read"),
        ("x.mrxs", b"\xff\xd8\xff\xd9", "folder .x. with Slidedat.ini is not beside it"),
    ],
)
def test_what_is_no_slide_is_refused_in_a_line(tmp_path, name, content, text):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=text) as caught:
        open_slide(path)
    assert "\n" not in str(caught.value)
