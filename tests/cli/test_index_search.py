"""`medssl index` and `medssl search`: what they write, what they say, and how they end."""

import json
import os
import shutil
import signal
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_medssl.backend import index_slides as verb
from napari_medssl.backend.index_config import IndexConfig
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.cli import main
from napari_medssl.index import Library, open_collection
from napari_medssl.io.slides import open_slide
from napari_medssl.io.tile_sampling import TileSampler

TILE = 224


def write_slide(path, seed, side=6 * TILE):
    """A TIFF of 0.5 microns per pixel and two levels, each tile of a colour of its own."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 18, (side, side, 1))
    colours = rng.uniform((150, 70, 130), (220, 130, 200), (side // TILE, side // TILE, 3))
    pixels = (np.repeat(np.repeat(colours, TILE, 0), TILE, 1) + grain).clip(0, 250)
    pixels = pixels.astype(np.uint8)
    with tifffile.TiffWriter(path) as writer:
        for level, values in enumerate((pixels, pixels[::2, ::2])):
            writer.write(
                values,
                tile=(256, 256),
                photometric="rgb",
                compression="jpeg",
                resolution=(20_000 >> level, 20_000 >> level),
                resolutionunit="CENTIMETER",
                subfiletype=level,
                metadata=None,
            )
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three slides and a library of two of them."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "slides").mkdir()
    for number, name in enumerate(("p1_a.tif", "p1_b.tif", "p2_a.tif")):
        write_slide(folder / "slides" / name, number)
    words = ["index", str(folder / "slides"), "--library", str(folder / "library")]
    assert main([*words, "--encoder", "histogram", "--patient-rule", "^([^_]+)_"]) == 0
    return folder


@pytest.fixture
def world(made, tmp_path):
    """A copy of them that may be changed; the library still names the slides of `made`."""
    shutil.copytree(made / "library", tmp_path / "library")
    return tmp_path


def search(world, *words):
    out = world / "hits.json"
    code = main(
        ["search", "--library", str(world / "library"), "--out", str(out), *map(str, words)]
    )
    return code, json.loads(out.read_bytes()) if code == 0 else None


def test_search_finds_tiles_with_slide_place_and_similarity(made, world, capsys):
    slide = made / "slides" / "p1_a.tif"
    code, found = search(world, "--slide", slide, "--at", "300,500", "--top", "7")
    assert code == 0
    assert "7 hits in histogram-0.5um-224px-" in capsys.readouterr().err
    hits = found["hits"]
    assert found["recall"] == 1.0
    assert set(hits[0]) == {"slide", "x", "y", "size", "similarity", "fingerprint"}
    assert (224, 448) not in [(h["x"], h["y"]) for h in hits if h["slide"] == str(slide)]
    assert [h["similarity"] for h in hits] == sorted((h["similarity"] for h in hits), reverse=True)
    assert {h["size"] for h in hits} == {TILE}


def test_the_similarity_is_the_cosine_of_what_the_encoder_says(made, world):
    from napari_medssl.backend.encoders import make_encoder

    slide = made / "slides" / "p1_a.tif"
    _, found = search(world, "--slide", slide, "--at", "300,500", "--top", "3")
    encoder = make_encoder("histogram")

    def embed(path, x, y):
        with open_slide(path) as opened:
            return encoder.embed(TileSampler(opened, TILE, TILE).read([(x, y)]))[0]

    query = embed(slide, 224, 448)
    for hit in found["hits"]:
        due = float(query @ embed(hit["slide"], hit["x"], hit["y"]))
        assert hit["similarity"] == pytest.approx(due, abs=2e-3)


def test_slide_and_patient_can_be_left_out(made, world, capsys):
    slide = made / "slides" / "p1_a.tif"
    place = ("--slide", slide, "--at", "300,500", "--top", "200")
    names = {
        words: {os.path.basename(h["slide"]) for h in search(world, *place, *words)[1]["hits"]}
        for words in ((), ("--exclude-slide",), ("--exclude-patient",))
    }
    assert names[()] == {"p1_a.tif", "p1_b.tif", "p2_a.tif"}
    assert names[("--exclude-slide",)] == {"p1_b.tif", "p2_a.tif"}
    assert names[("--exclude-patient",)] == {"p2_a.tif"}


def test_a_picture_of_a_tile_finds_that_tile(made, world):
    slide = made / "slides" / "p2_a.tif"
    with open_slide(slide) as opened:
        tile = TileSampler(opened, TILE, TILE).read([(448, 224)])[0]
    Image.fromarray(tile).save(world / "tile.png")
    _, found = search(world, "--image", world / "tile.png", "--top", "1")
    (hit,) = found["hits"]
    assert (hit["slide"], hit["x"], hit["y"]) == (str(slide), 448, 224)
    assert hit["similarity"] == pytest.approx(1, abs=2e-3)


def test_a_slide_that_is_not_indexed_can_be_asked_for(world, capsys):
    other = write_slide(world / "other.tif", 9)
    code, found = search(world, "--slide", other, "--at", "300,500", "--top", "3")
    assert code == 0
    assert len(found["hits"]) == 3
    assert "is embedded now" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--slide", "S"), "Give either --slide with --at X,Y, or --image."),
        (("--at", "1,2"), "give the slide with --slide"),
        (("--slide", "S", "--at", "a,b"), "--at is 'a,b'; due are two numbers"),
        (("--slide", "S", "--at", "1"), "--at is '1'; due are two numbers"),
        (("--slide", "S", "--at", "nan,1"), "--at is 'nan,1'"),
        (("--slide", "S", "--at", "99999,1"), "lies outside the slide 'p1_a.tif' of 1344 x 1344"),
        (("--image", "none.png"), "none.png"),
        (("--image", "none.png", "--exclude-slide"), "A picture has no slide"),
        (("--slide", "S", "--at", "1,1", "--encoder", "imagenet"), "nothing of encoder 'imagenet'"),
        (("--slide", "S", "--at", "1,1", "--top", "0"), "out of range"),
        (("--slide", "gone.tif", "--at", "1,1"), "there is no such file"),
    ],
)
def test_what_cannot_be_searched_for_ends_with_one_line(made, world, capsys, words, text):
    given = [made / "slides" / "p1_a.tif" if word == "S" else word for word in words]
    code, _ = search(world, *given)
    error = capsys.readouterr().err
    assert code == 2
    assert text in error
    assert error.count("\n") == 1
    assert not (world / "hits.json").exists()


def test_no_library_and_no_place_for_hits(made, world, capsys):
    slide = str(made / "slides" / "p1_a.tif")
    words = ["search", "--slide", slide, "--at", "9,9"]
    assert main([*words, "--library", str(world / "none"), "--out", str(world / "h.json")]) == 2
    assert "There is no library" in capsys.readouterr().err
    assert main([*words, "--library", str(world / "library"), "--out", slide]) == 2
    assert "is an input" in capsys.readouterr().err


def test_what_is_there_is_passed_over_and_a_moved_slide_is_followed(made, world, capsys):
    def paths():
        return [slide.path for slide in open_collection(world / "library").slides]

    words = ["--library", str(world / "library"), "--encoder", "histogram"]
    copy = shutil.copy(made / "slides" / "p1_a.tif", world / "copy.tif")
    assert main(["index", str(copy), *words]) == 0
    assert "0 slides indexed, 1 there already, 0 tiles embedded" in capsys.readouterr().err
    assert str(copy) not in paths()  # the first one is there
    mine = write_slide(world / "mine.tif", 11)
    assert main(["index", str(mine), *words]) == 0
    moved = mine.rename(world / "moved.tif")
    assert main(["index", str(moved), *words]) == 0
    assert str(moved) in paths()
    assert str(mine) not in paths()
    assert len(paths()) == 4


def test_a_slide_that_changed_is_told_and_put_in_place_with_reindex(made, world, capsys):
    library = str(world / "library")
    path = str(write_slide(world / "mine.tif", 12))
    words = ["index", path, "--library", library, "--encoder", "histogram"]
    assert main(words) == 0
    capsys.readouterr()
    write_slide(world / "mine.tif", 5)
    assert main(words) == 2
    assert (
        "is another slide than the one that was indexed from this path" in capsys.readouterr().err
    )
    assert (
        main(
            [
                "search",
                "--library",
                library,
                "--slide",
                path,
                "--at",
                "9,9",
                "--out",
                str(world / "h.json"),
            ]
        )
        == 2
    )
    assert "is another slide than when it was indexed" in capsys.readouterr().err
    assert main([*words, "--reindex"]) == 0
    slides = open_collection(library).slides
    assert len(slides) == 4
    with open_slide(path) as slide:
        assert slide.fingerprint in [one.fingerprint for one in slides if one.path == path]


def test_one_bad_slide_of_several_does_not_stop_the_others(world, capsys):
    folder = world / "new"
    folder.mkdir()
    write_slide(folder / "good.tif", 6)
    (folder / "list.txt").write_text("# slides\ngood.tif\nbroken.svs\n")
    (folder / "broken.svs").write_bytes(b"II*\0 not a slide")
    words = ["index", str(folder / "list.txt"), "--library", str(world / "library")]
    assert main([*words, "--encoder", "histogram"]) == 1
    err = capsys.readouterr().err
    assert "1 slide indexed" in err
    assert "broken.svs" in err
    assert (
        main(
            [
                "index",
                str(folder / "none.svs"),
                "--library",
                str(world / "library"),
                "--encoder",
                "histogram",
            ]
        )
        == 2
    )


def test_slides_are_taken_out_by_path_or_fingerprint(made, world, capsys):
    library = str(world / "library")
    one, two, _ = open_collection(library).slides
    assert main(["index", one.path, two.fingerprint, "--library", library, "--remove"]) == 0
    assert "2 slides taken out" in capsys.readouterr().err
    assert len(open_collection(library).slides) == 1
    assert main(["index", one.path, "--library", library, "--remove"]) == 2
    assert "The library has no slide" in capsys.readouterr().err


def test_a_library_that_is_being_written_is_told(world, made, capsys):
    slide = str(made / "slides" / "p1_a.tif")
    words = ["index", slide, "--library", str(world / "library"), "--encoder", "histogram"]
    with Library.open(world / "library").write_lock():
        assert main(words) == 2
    assert "is being written by another program" in capsys.readouterr().err


def test_patients_come_from_a_table(made, world, capsys):
    table = world / "patients.csv"
    table.write_text("slide,patient\np1_a.tif,ann\np2_a,bob\n")
    words = ["index", str(made / "slides"), "--library", str(world / "library")]
    assert main([*words, "--encoder", "histogram", "--patients", str(table)]) == 0
    patients = [slide.patient for slide in open_collection(world / "library").slides]
    assert patients == ["ann", "p1", "bob"]
    table.write_text("name,who\n")
    assert main([*words, "--encoder", "histogram", "--patients", str(table)]) == 2
    assert "has the columns name, who; due are slide" in capsys.readouterr().err
    assert main([*words, "--encoder", "histogram", "--patient-rule", "("]) == 2
    assert "is no regular expression" in capsys.readouterr().err


def test_cancelled_within_a_batch_it_goes_on(world):
    path = str(write_slide(world / "more.tif", 7))
    config = IndexConfig(encoder="histogram", batch=4)
    seen = []

    def should_stop():
        return bool(seen) and seen[-1] >= 8

    def run(stop):
        return verb.index_slides(
            [path],
            world / "library",
            config,
            on_progress=lambda progress: seen.append(progress.done),
            should_stop=stop,
        )

    with pytest.raises(Cancelled, match=r"Stopped after 0 of 36 tiles of 'more\.tif'"):
        run(should_stop)
    assert seen[-1] == 8
    assert len(open_collection(world / "library").slides) == 3
    assert run(lambda: False).tiles == 36
    assert len(open_collection(world / "library").slides) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
def test_stopped_by_a_signal_it_says_how_to_go_on(interrupt, world):
    slides = world / "many"
    slides.mkdir()
    (slides / "0 broken.svs").write_bytes(b"no slide")
    for number in range(12):
        write_slide(slides / f"{number}.tif", 20 + number)
    words = ["index", slides, "--library", world / "library", "--encoder", "histogram"]

    def has_begun(process):
        return any((world / "library").glob("*/slides/*.partial/journal.jsonl"))

    code, _, err = interrupt(signal.SIGINT, words, has_begun)
    assert code == 1
    assert "Give the same command again; it goes on there." in err
    assert [line[:7] for line in err.splitlines()] == ["error: ", "error: "]
    assert "0 broken.svs" in err.splitlines()[0]  # what failed before the stop is told too


def test_a_disk_that_fills_up_is_told_and_the_library_stays(made, mount, capsys):
    folder = mount("size=3m")
    shutil.copytree(made / "library", folder / "library")
    before = {slide.fingerprint for slide in open_collection(folder / "library").slides}
    with (folder / "filler").open("wb") as stream:
        free = shutil.disk_usage(folder).free
        stream.write(bytes(free - 90_000))
    slide = write_slide(made / "extra.tif", 8)
    words = ["index", str(slide), "--library", str(folder / "library"), "--encoder", "histogram"]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert "The disk" in err
    assert {slide.fingerprint for slide in open_collection(folder / "library").slides} == before
    (folder / "filler").unlink()
    assert main(words) == 0
    assert len(open_collection(folder / "library").slides) == 4


def test_a_library_beside_the_slides_is_no_slide(made, tmp_path):
    shutil.copytree(made / "slides", tmp_path / "all")
    words = ["index", str(tmp_path / "all"), "--library", str(tmp_path / "all" / "library")]
    assert main([*words, "--encoder", "histogram"]) == 0
    assert main([*words, "--encoder", "histogram"]) == 0
    assert len(open_collection(tmp_path / "all" / "library").slides) == 3


def test_a_folder_without_slides_makes_no_library(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    library = tmp_path / "library"
    assert main(["index", str(tmp_path / "empty"), "--library", str(library)]) == 2
    said = capsys.readouterr()
    assert "holds no slide" in said.err
    assert "indexed" not in said.out + said.err
    assert not library.exists()
