"""Whatever goes wrong: one line, nothing under the final name, and the same call goes on."""

import json
import os
import subprocess
import threading

import numpy as np
import pytest
import tifffile

from napari_medssl._errors import UserError
from napari_medssl.io.slide_store import (
    ConversionStopped,
    StoreSettings,
    StoreTakenError,
    partial,
    verify_store,
    write_store,
    writer,
)
from napari_medssl.io.slides import ArraySlide, SlideReadError, open_slide


def coarse(height, width, seed=0):
    """Return squares of 16 pixels of random colour: quick to make and to compress."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 250, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    return np.repeat(np.repeat(small, 16, 0), 16, 1)[:height, :width].copy()


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def pixels():
    return coarse(2500, 4200)


@pytest.fixture(scope="module")
def unbroken(pixels, tmp_path_factory):
    """What an undisturbed conversion writes."""
    out = tmp_path_factory.mktemp("unbroken") / "made.ome.zarr"
    write_store(ArraySlide(pixels, mpp=0.5), out)
    return tree(out)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "made.ome.zarr"


def stop_after(count):
    """Return an `on_step` and a `should_stop` that stops when so many shards are converted."""
    made = []

    def on_step(step):
        if step.what == "converting" and step.rgb_bytes:
            made.append(step)

    return on_step, lambda: len(made) >= count


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 3, 6])
def test_stopped_and_resumed_gives_the_same_bytes(pixels, unbroken, out, threads, count):
    slide = ArraySlide(pixels, mpp=0.5)
    on_step, should_stop = stop_after(count)
    with pytest.raises(ConversionStopped):
        write_store(slide, out, on_step=on_step, should_stop=should_stop, threads=threads)
    assert not out.exists()
    assert [path.name for path in out.parent.iterdir()] == ["made.ome.zarr.partial"]
    report = write_store(slide, out, threads=threads)
    assert report.resumed >= count
    assert report.shards == 11
    assert tree(out) == unbroken
    assert [path.name for path in out.parent.iterdir()] == ["made.ome.zarr"]


def test_a_shard_damaged_between_the_runs_is_made_again(pixels, unbroken, out):
    slide = ArraySlide(pixels, mpp=0.5)
    on_step, should_stop = stop_after(4)
    with pytest.raises(ConversionStopped):
        write_store(slide, out, on_step=on_step, should_stop=should_stop, threads=1)
    folder = out.with_name("made.ome.zarr.partial")
    first, second = sorted((folder / "0" / "c").rglob("[0-9]"), key=lambda p: p.is_dir())[:2]
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    second.unlink()
    (folder / "0" / ".writing-leftover").write_bytes(b"half")
    with (folder / "journal.jsonl").open("ab") as stream:
        stream.write(b'80 00000000 {"shard": "0/c')  # torn by the kill
    assert write_store(slide, out).resumed == 3
    assert tree(out) == unbroken


@pytest.mark.parametrize("moment", ["write_whole", "_flush_folders", "rename", "begin_journal"])
def test_killed_at_the_last_steps_it_goes_on(pixels, unbroken, out, monkeypatch, moment):
    class Killed(BaseException):
        pass

    def kill(*arguments, **more):
        raise Killed

    slide = ArraySlide(pixels, mpp=0.5)
    with monkeypatch.context() as patch:
        patch.setattr(os if moment == "rename" else partial, moment, kill)
        with pytest.raises(Killed):
            write_store(slide, out)
    assert not out.exists()
    report = write_store(slide, out)
    assert report.resumed == (0 if moment == "begin_journal" else 11)
    assert tree(out) == unbroken


def test_a_finished_store_is_left_as_it_is(pixels, out):
    slide = ArraySlide(pixels[:300, :300], mpp=0.5)
    write_store(slide, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert write_store(slide, out).was_finished
    with pytest.raises(StoreTakenError, match="holds another slide than 'array'"):
        write_store(ArraySlide(pixels[:300, :299], mpp=0.5), out)
    with pytest.raises(StoreTakenError, match=r"other settings \(chunk was 512, now 256\)"):
        write_store(slide, out, StoreSettings(chunk=256))
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert [path.name for path in out.parent.iterdir()] == ["made.ome.zarr"]


def test_an_unfinished_store_of_something_else_is_not_touched(pixels, out):
    on_step, should_stop = stop_after(1)
    with pytest.raises(ConversionStopped):
        write_store(
            ArraySlide(pixels, mpp=0.5), out, on_step=on_step, should_stop=should_stop, threads=1
        )
    before = tree(out.parent)
    with pytest.raises(StoreTakenError, match="holds another slide"):
        write_store(ArraySlide(pixels[:200], mpp=0.5), out)
    with pytest.raises(StoreTakenError, match=r"mpp was None, now 1\.0"):
        write_store(ArraySlide(pixels, mpp=0.5), out, StoreSettings(mpp=1.0))
    assert tree(out.parent) == before


def test_what_others_made_is_not_touched(pixels, out):
    slide = ArraySlide(pixels[:99, :99])
    out.mkdir()
    (out / "thesis.txt").write_text("years")
    with pytest.raises(StoreTakenError, match="was not made by `medssl slide convert`"):
        write_store(slide, out)
    out.rename(out.with_name("made.ome.zarr.partial"))
    with pytest.raises(StoreTakenError, match="is in the way"):
        write_store(slide, out)
    (out.parent / "made.ome.zarr.partial" / "journal.jsonl").write_text("not ours\n")
    with pytest.raises(StoreTakenError, match="is in the way"):
        write_store(slide, out)
    (out.parent / "manifest.json").write_text("{}")
    assert (out.parent / "made.ome.zarr.partial" / "thesis.txt").read_text() == "years"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("made.tif", r"due is a name that ends with '\.ome\.zarr'"),
        ("none/made.ome.zarr", "There is no folder"),
    ],
)
def test_a_place_that_makes_no_sense_is_refused(tmp_path, name, text):
    with pytest.raises(UserError, match=text):
        write_store(ArraySlide(coarse(9, 9)), tmp_path / name)
    assert not list(tmp_path.iterdir())


class BlockedSlide(ArraySlide):
    """Reads wait until they are let through."""

    def __init__(self, pixels):
        super().__init__(pixels, mpp=0.5)
        self.entered, self.may_go = threading.Event(), threading.Event()

    def read_pixels(self, level, corner, size):
        self.entered.set()
        assert self.may_go.wait(60)
        return super().read_pixels(level, corner, size)


def test_a_second_conversion_to_the_same_place_says_so(out):
    slide = BlockedSlide(coarse(300, 300))
    first = threading.Thread(target=write_store, args=(slide, out))
    first.start()
    assert slide.entered.wait(60)
    with pytest.raises(UserError, match=rf"by another program \(process {os.getpid()} on .*Wait"):
        write_store(ArraySlide(coarse(300, 300), mpp=0.5), out)
    slide.may_go.set()
    first.join()
    assert verify_store(out).is_whole


def test_a_corrupt_tile_is_named_and_nothing_gets_the_final_name(tmp_path, out, write_tiff_slide):
    path = tmp_path / "made.tif"
    write_tiff_slide(path, 2300, 2600, levels=1, tile=(128, 128))
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        number = 5 * 21 + 7
        offset, count = page.dataoffsets[number], page.databytecounts[number]
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(b"\0" * count)
    with open_slide(path) as slide, pytest.raises(UserError) as caught:
        write_store(slide, out)
    assert f"x {7 * 128}, y {5 * 128} of level 0" in str(caught.value)
    assert "damaged there" in str(caught.value)
    assert not out.exists()


def test_a_slide_cut_off_is_refused_before_anything_is_made(data_dir, tmp_path, out):
    whole = (data_dir / "slides" / "CMU-1-Small-Region.svs").read_bytes()
    (tmp_path / "cut.svs").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cut\.svs"):
        write_store(open_slide(tmp_path / "cut.svs"), out)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.svs"]


def noise(height, width):
    return np.random.default_rng(0).integers(0, 250, (height, width, 3), np.uint8)


def test_a_disk_that_is_too_small_is_told_before_the_work(mount):
    folder = mount("size=4m")
    slide = ArraySlide(noise(2100, 2100), mpp=0.5)
    with pytest.raises(UserError, match=r"has 4 MB free; the store will need about 1\d MB"):
        write_store(slide, folder / "made.ome.zarr")
    assert not (folder / "made.ome.zarr").exists()


def test_a_disk_that_fills_up_leaves_what_can_be_gone_on_with(mount, monkeypatch):
    folder = mount("size=15m")
    pixels = noise(2100, 2100)
    slide = ArraySlide(pixels, mpp=0.5)
    out = folder / "made.ome.zarr"
    monkeypatch.setattr(writer, "check_space", lambda *arguments: None)
    with pytest.raises(UserError, match=r"The disk is full: 'made\.ome\.zarr' is not finished"):
        write_store(slide, out)
    assert not out.exists()
    assert not list(folder.rglob(".writing-*"))
    subprocess.run(["mount", "-o", "remount,size=40m", str(folder)], check=True)
    assert write_store(slide, out).resumed >= 1
    assert verify_store(out).is_whole


def test_a_read_only_folder_is_one_line(mount, tmp_path):
    folder = mount("size=1m,ro")
    with pytest.raises(UserError, match=r"Choose an --out in a folder .* may write to"):
        write_store(ArraySlide(coarse(9, 9)), folder / "made.ome.zarr")


def test_bytes_that_the_disk_changed_are_found_before_the_name_is_given(pixels, out, monkeypatch):
    real = writer.write_whole

    def write_wrong(path, data):
        real(path, data[:-1] + b"x" if path.name == "1" else data)

    slide = ArraySlide(pixels, mpp=0.5)
    with monkeypatch.context() as patch:
        patch.setattr(writer, "write_whole", write_wrong)
        with pytest.raises(
            UserError, match=r"are not on the disk as they were written \(first '0/c"
        ):
            write_store(slide, out)
    assert not out.exists()
    write_store(slide, out)
    assert verify_store(out).is_whole


@pytest.fixture
def finished(out):
    write_store(ArraySlide(coarse(2500, 2200), mpp=0.5), out)
    return out


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda p: p.write_bytes(b""), "damaged"),
        (lambda p: p.unlink(), "missing"),
        (lambda p: p.write_bytes(p.read_bytes()[:-9]), "damaged"),
        (lambda p: p.write_bytes(b"x" + p.read_bytes()[1:]), "damaged"),
        (lambda p: (p.parent / "7").write_bytes(b"x"), "unexpected"),
    ],
    ids=["empty", "missing", "cut", "bit flip", "one more"],
)
def test_verify_finds_damage_that_zarr_reads_over(finished, change, found):
    place = finished / "0" / "c" / "0" / "1" / "0"
    change(place)
    report = verify_store(finished)
    assert not report.is_whole
    due = "0/c/0/1/7" if found == "unexpected" else "0/c/0/1/0"
    assert getattr(report, found) == (due,)
    others = {"damaged", "missing", "unexpected"} - {found}
    assert not any(getattr(report, other) for other in others)


def test_a_finished_store_that_lost_a_shard_is_not_called_finished(finished):
    (finished / "1" / "c" / "0" / "0" / "0").write_bytes(b"")
    with pytest.raises(StoreTakenError, match=r"1 are missing or cut off \(first '1/c/0/0/0'\)"):
        write_store(ArraySlide(coarse(2500, 2200), mpp=0.5), finished)


def test_verify_can_be_stopped(finished):
    assert verify_store(finished, should_stop=lambda: True) is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d["files"].update({"../../secret": {"size": 1, "blake2b": "0"}}), "damaged"),
        (lambda d: d.update(files=[]), "damaged"),
        (lambda d: d.update(format="other"), "damaged"),
        (lambda d: d["files"].update({"0/c/0/0/0": {"size": -1}}), "damaged"),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused(finished, change, text):
    path = finished / "manifest.json"
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match=text):
        verify_store(finished)


def test_stores_of_others_cannot_be_verified(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        verify_store(tmp_path / "none.ome.zarr")
    with pytest.raises(UserError, match=r"has no manifest\.json"):
        verify_store(tmp_path)


def test_a_lost_shard_is_an_error_where_it_is_and_nowhere_else(finished):
    (finished / "0" / "c" / "0" / "1" / "0").unlink()
    with open_slide(finished) as slide:
        assert slide.read_pixels(0, (0, 0), (500, 2048)).shape == (2048, 500, 3)
        with pytest.raises(SlideReadError, match=r"its part '0/c/0/1/0' is missing or cut off"):
            slide.read_pixels(0, (0, 0), (500, 2049))
        assert slide.read_pixels(1, (0, 0), (1100, 1250)).min() < 255


def test_a_manifest_of_another_program_does_not_stand_in_the_way(finished):
    (finished / "manifest.json").write_text('{"format": "somebody else"}')
    with open_slide(finished) as slide:
        assert slide.dimensions == (2200, 2500)
