"""Regions of slides become pictures that say where they are from."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.slide_regions import (
    MOST_REGIONS,
    SlideRegion,
    region_name,
    write_regions,
)
from napari_medssl.io import slide_rectangles
from napari_medssl.io.images import read_image
from napari_medssl.io.region_pictures import SlideRecord, read_region_record
from napari_medssl.io.slides import open_slide

PIXELS = np.random.default_rng(0).integers(0, 256, (600, 800, 3)).astype(np.uint8)


def write_slide(path, mpp=0.5, pixels=PIXELS):
    text = "Aperio Image Library v11.2.1\n800x600 |AppMag = 20"
    text += f"|MPP = {mpp}" * (mpp is not None)
    with tifffile.TiffWriter(path) as writer:
        writer.write(pixels, tile=(256, 256), description=text, metadata=None, photometric="rgb")
    with open_slide(path) as slide:
        return slide.fingerprint


@pytest.fixture
def slide(tmp_path):
    return write_slide(tmp_path / "a.svs"), str(tmp_path / "a.svs")


def region(slide, box, name="a"):
    return SlideRegion(name, slide[0], (slide[1],), box)


def test_a_region_is_written_at_the_size_of_pixel_asked_for(slide, tmp_path):
    (made,) = write_regions([region(slide, (100, 50, 301, 150))], 1.0, tmp_path / "images")
    assert made.path.parent == tmp_path / "images"
    assert made.name == made.path.name == "a x100 y50 100x50.png"
    assert read_image(made.path).shape == (50, 100, 3)
    due = SlideRecord("a", slide[0], 100, 50, 2.0, 2.0, 0.5, 0.5)
    assert made.record == due == read_region_record(made.path)
    assert due.spacing_mm == (0.001, 0.001)
    assert due.scale == (1.0, 1.0)
    assert due.translate == ((50 + 0.5) * 0.5, (100 + 0.5) * 0.5)


def test_pixels_are_never_smaller_than_those_of_the_slide(slide, tmp_path):
    (made,) = write_regions([region(slide, (10, 20, 60, 50))], 0.1, tmp_path)
    assert (read_image(made.path) == PIXELS[20:50, 10:60]).all()
    assert made.record.step_x == 1.0


def test_a_slide_that_does_not_say_its_size_counts_its_own_pixels(tmp_path):
    fingerprint = write_slide(tmp_path / "b.svs", mpp=None)
    given = SlideRegion("b", fingerprint, (str(tmp_path / "b.svs"),), (0, 0, 400, 200))
    (made,) = write_regions([given], 4.0, tmp_path / "images")
    assert read_image(made.path).shape == (50, 100, 3)
    assert made.record.spacing_mm is None
    assert made.record.translate == (1.5, 1.5)


def test_the_same_region_is_the_same_file_and_another_slide_of_that_name_is_not(slide, tmp_path):
    out, box = tmp_path / "images", (0, 0, 100, 100)
    (first,) = write_regions([region(slide, box)], 1.0, out)
    written = first.path.stat().st_mtime_ns
    (again,) = write_regions([region(slide, box)], 1.0, out)
    assert (again.path, again.path.stat().st_mtime_ns) == (first.path, written)
    (tmp_path / "other").mkdir()
    other = write_slide(tmp_path / "other" / "a.svs", pixels=PIXELS[::-1])
    moved = SlideRegion("a", other, (str(tmp_path / "other" / "a.svs"),), box)
    (third,) = write_regions([moved], 1.0, out)
    assert third.path.name == "a x0 y0 50x50 2.png"


def test_a_region_is_called_by_its_slide_without_the_ending_of_the_file():
    assert region_name("a.b.svs", "/x/a.b.svs") == "a.b"
    assert region_name("a.b", "/x/a.b.svs") == "a.b"
    assert region_name("a.ome.tif", "http://x/a.ome.tif") == "a"
    assert region_name("S-12.AB", "/x/a.svs") == "S-12.AB"


def test_all_are_written_or_none(slide, tmp_path):
    gone = SlideRegion("c", "0" * 32, (str(tmp_path / "c.svs"),), (0, 0, 9, 9))
    with pytest.raises(UserError, match=r"not at .*c\.svs"):
        write_regions([region(slide, (0, 0, 50, 50)), gone], 1.0, tmp_path / "images")
    assert not list((tmp_path / "images").iterdir())


def test_progress_never_goes_back_and_ends_at_all(slide, tmp_path, monkeypatch):
    monkeypatch.setattr(slide_rectangles, "_BAND", 3000)
    told = []
    regions = [region(slide, (0, 0, 100, 100 + number)) for number in range(3)]
    write_regions(regions, 0.5, tmp_path / "images", on_progress=told.append)
    done = [one.done for one in told]
    assert done == sorted(done)
    assert len(set(done)) > 2 * len(regions)  # also within a region
    assert {one.total for one in told} == {told[-1].done}
    words = list(dict.fromkeys(one.message for one in told))
    assert words == [f"reading region {number} of 3" for number in (1, 2, 3)] + ["done"]


@pytest.mark.parametrize("asks", range(1, 14))
def test_asked_to_stop_it_keeps_what_is_finished_whole(slide, tmp_path, monkeypatch, asks):
    """Whenever it is asked: before a region, within one, and while its file is written."""
    monkeypatch.setattr(slide_rectangles, "_BAND", 30_000)
    regions = [region(slide, (0, 0, 100, 100 + number)) for number in range(2)]
    left = [asks]

    def should_stop():
        left[0] -= 1
        return left[0] <= 0

    made = write_regions(regions, 0.5, tmp_path / "images", should_stop=should_stop)
    assert len(made) < 2 or left[0] > 0
    assert {path.name for path in (tmp_path / "images").iterdir()} == {one.name for one in made}
    for one in made:
        assert (read_image(one.path) == PIXELS[: read_image(one.path).shape[0], :100]).all()
    again = write_regions(regions, 0.5, tmp_path / "images")
    assert [one.path for one in again[: len(made)]] == [one.path for one in made]


def test_the_name_of_a_slide_that_is_hidden_is_in_no_word(slide, tmp_path):
    hidden = SlideRegion("S-1234", "0" * 32, (slide[1],), (0, 0, 9, 9))
    with pytest.raises(UserError) as caught:
        write_regions([hidden], 1.0, tmp_path / "images")
    assert "a.svs" not in str(caught.value)
    assert "S-1234" in str(caught.value)
    (made,) = write_regions([region(slide, (0, 0, 50, 50), "S-1234")], 1.0, tmp_path / "images")
    assert "a.svs" not in made.path.read_bytes().decode("latin-1")


def test_too_large_and_too_many_are_refused(slide, tmp_path):
    with pytest.raises(UserError, match="due is at most 8192 a side"):
        write_regions([region(slide, (0, 0, 9000, 10))], 0.5, tmp_path / "images")
    many = [region(slide, (0, 0, 9, 9))] * (MOST_REGIONS + 1)
    with pytest.raises(UserError, match="at most 200 are taken at once"):
        write_regions(many, 1.0, tmp_path / "images")


@pytest.mark.parametrize("text", ['{"slide": 1}', "[]", "nonsense", '{"x": 0}'])
def test_a_text_of_somebody_else_is_no_place(tmp_path, text):
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_text("medssl region", text)
    Image.new("RGB", (3, 3)).save(tmp_path / "p.png", pnginfo=about)
    assert read_region_record(tmp_path / "p.png") is None
    assert read_region_record(tmp_path / "missing.png") is None
    (tmp_path / "bad.png").write_bytes(b"\x89PNG")
    assert read_region_record(tmp_path / "bad.png") is None
