"""Slides through OpenSlide: pixels as OpenSlide gives them, threads, bad tiles, privacy."""

import shutil
import threading

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.io.slides import open_slide
from napari_medssl.io.slides.openslide_slide import OpenSlideSlide, _color, _flatten
from napari_medssl.io.slides.protocol import SlideReadError

pytestmark = pytest.mark.data
openslide = pytest.importorskip("openslide")


@pytest.fixture
def svs(data_dir):
    return data_dir / "slides" / "CMU-1-Small-Region.svs"


def test_geometry_and_pixels_are_those_of_openslide(svs):
    theirs = openslide.OpenSlide(svs)
    with OpenSlideSlide(svs) as slide:
        assert slide.dimensions == theirs.dimensions
        assert slide.level_downsamples == theirs.level_downsamples
        assert slide.mpp == (0.499, 0.499)
        assert slide.tile_size(0) == (240, 240)
        assert slide.vendor == "aperio"
        found = slide.read_region((100, 200), 0, (300, 250))
        due = np.asarray(theirs.read_region((100, 200), 0, (300, 250)).convert("RGB"))
        assert (found == due).all()


def test_patients_are_named_only_when_asked(svs):
    with OpenSlideSlide(svs) as slide:
        safe = slide.properties
        assert set(safe) <= {
            *("openslide.vendor", "openslide.mpp-x", "openslide.mpp-y"),
            *("openslide.objective-power", "openslide.icc-size", "openslide.background-color"),
        }
        assert safe["openslide.objective-power"] == "20"
        private = slide.read_private_properties()
        assert "aperio.Filename" in private
        assert set(slide.associated_images) == {"label", "macro", "thumbnail"}
        assert slide.associated_images["label"].shape == (463, 387, 3)
        with pytest.raises(KeyError):
            slide.associated_images["other"]


def test_each_thread_has_a_handle_of_its_own(svs):
    seen, results = set(), []
    with OpenSlideSlide(svs) as slide:
        due = slide.read_region((0, 0), 0, (64, 64))

        def read():
            results.append((slide.read_region((0, 0), 0, (64, 64)) == due).all())
            with slide._handle() as handle:
                seen.add(id(handle))

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [True] * 4
        with slide._handle() as handle:
            assert id(handle) not in seen
    with pytest.raises(UserError, match="is closed"):
        slide.read_private_properties()


def corrupt_tile(svs, path, number):
    """Copy a slide with noise for its JPEG tile `number`."""
    import tifffile

    shutil.copyfile(svs, path)
    path.chmod(0o644)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        offset, count = page.dataoffsets[number], page.databytecounts[number]
        across = -(-page.imagewidth // page.tilewidth)
        x, y = number % across * page.tilewidth, number // across * page.tilelength
    with path.open("rb+") as stream:
        stream.seek(offset)
        stream.write(b"\x55" * count)
    return x, y


def test_one_bad_tile_costs_that_tile_alone(svs, tmp_path):
    path = tmp_path / "bad.svs"
    x, y = corrupt_tile(svs, path, 24)
    with OpenSlideSlide(path) as slide, OpenSlideSlide(svs) as whole:
        for _ in range(2):
            with pytest.raises(SlideReadError, match=rf"x {x}, y {y} of level 0") as caught:
                slide.read_region((x, y), 0, (240, 240))
            error = caught.value
            assert (error.level, error.corner, error.size) == (0, (x, y), (240, 240))
            after = slide.read_region((0, 0), 0, (240, 240))
            assert (after == whole.read_region((0, 0), 0, (240, 240))).all()
        assert slide.fingerprint != whole.fingerprint


def test_a_file_that_is_gone_is_told_for_all_that_is_asked(svs, tmp_path):
    path = tmp_path / "gone.svs"
    shutil.copyfile(svs, path)
    with OpenSlideSlide(path) as slide:
        images = slide.associated_images
        path.unlink()
        outcomes = []

        def ask(read):
            try:
                read()
            except UserError as error:
                outcomes.append(str(error))

        asked = [
            lambda: slide.read_region((0, 0), 0, (8, 8)),
            slide.read_private_properties,
            slide.read_icc_profile,
            lambda: images["label"],
            lambda: list(images),
            lambda: len(images),
        ]
        for read in asked:  # each in a thread that has no handle yet
            thread = threading.Thread(target=ask, args=(read,))
            thread.start()
            thread.join()
    assert len(outcomes) == len(asked)
    assert all("'gone.svs': the file is damaged" in text for text in outcomes)
    assert "Cannot read 8 x 8 pixels at x 0, y 0 of level 0" in outcomes[0]


def test_the_fingerprint_is_of_the_file_not_of_its_place(svs, tmp_path):
    moved = tmp_path / "other name.svs"
    shutil.copyfile(svs, moved)
    with OpenSlideSlide(svs) as one, OpenSlideSlide(moved) as two:
        assert one.fingerprint == two.fingerprint


def test_every_instance_of_a_dicom_slide_is_the_same_slide(data_dir):
    paths = sorted((data_dir / "interop" / "dicom_wsi").rglob("*.dcm"))
    assert len(paths) == 4
    slides = [OpenSlideSlide(path) for path in paths]
    assert len({slide.fingerprint for slide in slides}) == 1


@pytest.mark.parametrize("part", [0.0001, 0.3, 0.5, 0.99])
def test_a_truncated_slide_is_refused(svs, tmp_path, part):
    path = tmp_path / "cut.svs"
    content = svs.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(UserError, match=r"Cannot open 'cut.svs' as a slide"):
        OpenSlideSlide(path)


def test_opacity_is_laid_on_the_background():
    from PIL import Image

    image = Image.new("RGBA", (2, 1), (10, 20, 30, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    assert _flatten(image, (1, 2, 3)).tolist() == [[[10, 20, 30], [1, 2, 3]]]
    assert _color("0A0B0C") == (10, 11, 12)
    assert _color(None) == _color("zz") == _color("0A") == (255, 255, 255)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.vms", "[X]\nImageFile=../secret\n", r"names '../secret' as ImageFile, which lies"),
        ("a.vms", "[X]\nMapFile=/dev/zero\n", "outside its folder"),
        ("a.vms", "[X]\nImageFile=C:\\x\n", "outside its folder"),
        ("a.vms", "[X]\nImageFile=gone.jpg\n", r"its part 'gone.jpg' is missing"),
        ("a.mrxs", "x", r"its folder 'a' with Slidedat.ini is not beside it"),
    ],
)
def test_parts_outside_the_folder_or_missing_are_told(tmp_path, name, content, text):
    path = tmp_path / name
    path.write_text(content)
    for opening in (OpenSlideSlide, open_slide):
        with pytest.raises(UserError, match=text):
            opening(path)


def test_a_missing_part_of_a_mirax_slide_is_named(tmp_path):
    (tmp_path / "a.mrxs").write_bytes(b"\xff\xd8\xff\xd9")
    (tmp_path / "a").mkdir()
    index = tmp_path / "a" / "Slidedat.ini"
    index.write_text("[HIERARCHICAL]\nINDEXFILE = Index.dat\n[DATAFILE]\nFILE_0 = Data0000.dat\n")
    (tmp_path / "a" / "Index.dat").write_bytes(b"")
    with pytest.raises(UserError, match=r"its part 'Data0000.dat' is missing. Copy it into 'a'"):
        OpenSlideSlide(tmp_path / "a.mrxs")
    index.write_text("[DATAFILE]\nFILE_0 = ../../etc/passwd\n")
    with pytest.raises(UserError, match="outside its folder"):
        OpenSlideSlide(tmp_path / "a.mrxs")


def test_a_file_of_a_scanner_is_not_read_from_an_object_store():
    for url in ("s3://bucket/a.svs", "https://host/slides/a.svs", "memory://b/a.tiff"):
        with pytest.raises(UserError, match=r"by a URL: files of scanners .* OME-Zarr"):
            open_slide(url)
