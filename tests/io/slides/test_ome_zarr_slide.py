"""OME-Zarr stores as slides: axes, types, units, places; and stores that nobody should trust."""

import json
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.io.slides import SlideReadError, open_slide
from napari_medssl.io.slides.halving import halve
from napari_medssl.io.slides.ome_zarr_slide import OmeZarrSlide

zarr = pytest.importorskip("zarr")


def write_store(place, levels, axes="yxc", *, version="0.5", unit="micrometer", mpp=0.5, **more):
    """Write (Y, X, C) levels with the axes asked for and return the group."""
    zarr_format = 3 if version == "0.5" else 2
    group = zarr.open_group(place, mode="w", zarr_format=zarr_format)
    datasets = []
    for number, pixels in enumerate(levels):
        whole = pixels[None, None]  # tzyxc
        kept = tuple("tzyxc".index(axis) for axis in axes)
        gone = tuple(axis for axis in range(5) if axis not in kept)
        array = whole.transpose([*kept, *gone])[(..., *(0 for _ in gone))]
        chunks = tuple(
            64 if axis in "yx" else size for axis, size in zip(axes, array.shape, strict=True)
        )
        options = {"chunks": chunks, "shape": array.shape, "dtype": array.dtype, **more}
        made = group.create_array(f"s{number}", **options)
        made[...] = array
        scale = [mpp * 2**number if axis in "yx" else 1.0 for axis in axes]
        transforms = [{"type": "scale", "scale": scale}]
        datasets.append({"path": f"s{number}", "coordinateTransformations": transforms})
    named = [
        {"name": axis, "type": "space", **({"unit": unit} if unit else {})}
        if axis in "zyx"
        else {"name": axis, "type": {"t": "time", "c": "channel"}[axis]}
        for axis in axes
    ]
    multiscales = [{"axes": named, "datasets": datasets, "version": version}]
    if version == "0.5":
        group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    else:
        group.attrs["multiscales"] = multiscales
    return group


@pytest.fixture
def pyramid(make_tissue):
    first = make_tissue(201, 310)
    return [first, halve(first), halve(halve(first))]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["yxc", "cyx", "tczyx", "zyxc", "xyc", "ycx"])
def test_axes_of_any_order_give_the_same_slide(tmp_path, pyramid, axes, version):
    write_store(str(tmp_path / "a.zarr"), pyramid, axes, version=version)
    with open_slide(tmp_path / "a.zarr") as slide:
        assert slide.level_dimensions == ((310, 201), (155, 101), (78, 51))
        assert slide.level_downsamples == (1.0, 2.0, 4.0)
        assert slide.mpp == (0.5, 0.5)
        assert slide.tile_size(0) == (64, 64)
        for level, pixels in enumerate(pyramid):
            found = slide.read_pixels(level, (30, 20), (60, 40))
            due = np.full((40, 60, 3), 255, np.uint8)
            inside = pixels[20:60, 30:90]
            due[: inside.shape[0], : inside.shape[1]] = inside
            assert (found == due).all()


@pytest.mark.parametrize(("unit", "mpp"), [("nanometer", 250.0), ("millimeter", 0.00025)])
def test_units_become_microns(tmp_path, pyramid, unit, mpp):
    write_store(str(tmp_path / "a.zarr"), pyramid, unit=unit, mpp=mpp)
    assert open_slide(tmp_path / "a.zarr").mpp == pytest.approx((0.25, 0.25))


def test_without_a_unit_there_is_no_mpp(tmp_path, pyramid):
    write_store(str(tmp_path / "a.zarr"), pyramid, unit=None)
    assert open_slide(tmp_path / "a.zarr").mpp is None


def test_grey_becomes_rgb_and_opacity_is_left_out(tmp_path, pyramid):
    write_store(str(tmp_path / "grey.zarr"), pyramid, "yx")
    found = open_slide(tmp_path / "grey.zarr").read_pixels(0, (0, 0), (50, 50))
    assert (found == pyramid[0][:50, :50, :1]).all()
    clear = [np.concatenate([p, p[..., :1]], 2) for p in pyramid]
    write_store(str(tmp_path / "clear.zarr"), clear)
    found = open_slide(tmp_path / "clear.zarr").read_pixels(0, (0, 0), (50, 50))
    assert (found == pyramid[0][:50, :50]).all()


def test_sixteen_bits_are_scaled_alike_on_all_levels(tmp_path, pyramid):
    wide = [p.astype(np.uint16) * 257 for p in pyramid]
    write_store(str(tmp_path / "a.zarr"), wide)
    with open_slide(tmp_path / "a.zarr") as slide:
        for level, pixels in enumerate(pyramid):
            assert (slide.read_pixels(level, (0, 0), (60, 50)) == pixels[:50, :60]).all()


def test_shards_are_read_in_tiles(tmp_path, pyramid):
    write_store(str(tmp_path / "a.zarr"), pyramid, shards=(128, 128, 3))
    with open_slide(tmp_path / "a.zarr") as slide:
        assert slide.tile_size(0) == (64, 64)
        assert (slide.read_pixels(0, (60, 50), (80, 90)) == pyramid[0][50:140, 60:140]).all()


def test_a_batch_is_its_reads_and_neighbours_are_read_together(tmp_path, pyramid):
    write_store(str(tmp_path / "a.zarr"), pyramid)
    with open_slide(tmp_path / "a.zarr") as slide:
        corners = [(x, y) for y in (0, 64, 128) for x in (-64, 0, 64, 256)] + [(200, -30), (0, 0)]
        batch = slide.read_many(0, corners, (64, 64))
        for row, corner in zip(batch, corners, strict=True):
            assert (row == slide.read_pixels(0, corner, (64, 64))).all()
        assert slide.read_many(0, [], (64, 64)).shape == (0, 64, 64, 3)
        reads = []
        inside = slide._read_inside
        slide._read_inside = lambda *window: (reads.append(window), inside(*window))[1]
        slide.read_many(0, [(x, y) for y in (0, 64) for x in (0, 64, 128)], (64, 64))
        assert reads == [(0, 0, 0, 192, 128)]


def test_places_folder_zip_url_and_memory_hold_the_same_slide(tmp_path, pyramid):
    import fsspec

    folder = tmp_path / "a.zarr"
    write_store(str(folder), pyramid)
    with zipfile.ZipFile(tmp_path / "a.ozx", "w") as file:
        for path in folder.rglob("*"):
            if path.is_file():
                file.write(path, path.relative_to(folder).as_posix())
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/test-ome/a.zarr", recursive=True)
    places = [folder, tmp_path / "a.ozx", folder.as_uri(), "memory://test-ome/a.zarr"]
    slides = [open_slide(place) for place in places]
    assert len({slide.fingerprint for slide in slides}) == 1
    for slide in slides:
        assert (slide.read_pixels(0, (5, 6), (70, 80)) == pyramid[0][6:86, 5:75]).all()
    assert slides[3].source == "memory://test-ome/a.zarr"
    memory.rm("/test-ome", recursive=True)


def test_the_fingerprint_changes_with_a_pixel_of_the_coarsest_level(tmp_path, pyramid):
    write_store(str(tmp_path / "a.zarr"), pyramid)
    pyramid[-1][3, 3, 0] ^= 1
    write_store(str(tmp_path / "b.zarr"), pyramid)
    assert (
        open_slide(tmp_path / "a.zarr").fingerprint != open_slide(tmp_path / "b.zarr").fingerprint
    )


def test_many_threads_read_one_slide(tmp_path, pyramid):
    write_store(str(tmp_path / "a.zarr"), pyramid)
    slide = open_slide(tmp_path / "a.zarr")
    results = []

    def read(x):
        results.append(
            (slide.read_pixels(0, (x, 0), (50, 50)) == pyramid[0][:50, x : x + 50]).all()
        )

    threads = [threading.Thread(target=read, args=(9 * i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 20
    slide.close()
    with pytest.raises(UserError, match="is closed"):
        slide.read_pixels(0, (0, 0), (5, 5))


def test_a_series_store_opens_its_first_image_and_a_plate_names_one(tmp_path, pyramid):
    root = zarr.open_group(str(tmp_path / "many.zarr"), mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    write_store(str(tmp_path / "many.zarr" / "0"), pyramid, version="0.4")
    write_store(str(tmp_path / "many.zarr" / "1"), pyramid[1:], version="0.4")
    with open_slide(tmp_path / "many.zarr") as slide:
        assert slide.dimensions == (310, 201)
    root.attrs["plate"] = {"wells": [{"path": "B/3"}]}
    with pytest.raises(UserError, match=r"a plate of many images. Give one.*'many.zarr/B/3/0'"):
        open_slide(tmp_path / "many.zarr")


def test_a_bare_array_or_a_folder_is_told(tmp_path):
    zarr.create_array(str(tmp_path / "a.zarr"), shape=(5, 5), dtype="u1")
    with pytest.raises(UserError, match="zarr metadata cannot be read"):
        open_slide(tmp_path / "a.zarr")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="a folder without zarr metadata"):
        open_slide(tmp_path / "folder")


def change(path, edit):
    file = path / "zarr.json"
    about = json.loads(file.read_text())
    edit(about)
    file.write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda m: m["datasets"][0].update(path="../b.zarr/s0"), "leads outside it"),
        (lambda m: m["datasets"][0].update(path="/etc"), "leads outside it"),
        (lambda m: m["datasets"][0].update(path="C:\\x"), "leads outside it"),
        (lambda m: m["datasets"][0].update(path=7), "a level has the path 7; due is a name"),
        (lambda m: m["datasets"][0].update(path="gone"), "its level 'gone' is missing"),
        (lambda m: m["datasets"].reverse(), "its levels do not shrink"),
        (lambda m: m.update(datasets={}), "'datasets' is {}; due is a list of 1 to 64"),
        (lambda m: m.update(axes=[{"name": "y"}]), r"its axes are \['y'\]; due are y and x"),
        (lambda m: m.update(axes="yxc"), "'axes' is 'yxc'; due is a list"),
        (
            lambda m: m["datasets"][0]["coordinateTransformations"][0].update(scale=[0, 1, 1]),
            "due are numbers above 0",
        ),
        (
            lambda m: m["datasets"][0]["coordinateTransformations"][0].update(scale="x"),
            "due are 3 numbers, one for each axis",
        ),
        (lambda m: m.update(coordinateTransformations=5), "due is a list"),
    ],
)
def test_damaged_metadata_is_told_in_a_line(tmp_path, pyramid, edit, text):
    write_store(str(tmp_path / "a.zarr"), pyramid)
    change(tmp_path / "a.zarr", lambda about: edit(about["attributes"]["ome"]["multiscales"][0]))
    with pytest.raises(UserError, match=text) as caught:
        open_slide(tmp_path / "a.zarr")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pixels", "axes", "text"),
    [
        (np.zeros((20, 20, 2), np.uint8), "yxc", "2 channels; a slide has 1 or 3"),
        (np.zeros((20, 20, 3), np.complex64), "yxc", "holds complex64; due are numbers"),
    ],
)
def test_arrays_that_are_no_slide_are_refused(tmp_path, pixels, axes, text):
    write_store(str(tmp_path / "a.zarr"), [pixels], axes)
    with pytest.raises(UserError, match=text):
        open_slide(tmp_path / "a.zarr")


def test_a_stack_of_planes_is_refused(tmp_path):
    group = write_store(str(tmp_path / "a.zarr"), [np.zeros((20, 20, 3), np.uint8)], "zyxc")
    group.create_array("s0", shape=(5, 20, 20, 3), dtype="u1", overwrite=True)
    with pytest.raises(UserError, match="has 5 planes along z; a slide has one"):
        open_slide(tmp_path / "a.zarr")


def test_links_that_leave_the_store_are_not_followed(tmp_path, pyramid):
    write_store(str(tmp_path / "a.zarr"), pyramid)
    chunk = tmp_path / "a.zarr" / "s0" / "c" / "0" / "0" / "0"
    outside = tmp_path / "secret"
    outside.write_bytes(chunk.read_bytes())
    chunk.unlink()
    chunk.symlink_to(outside)
    with open_slide(tmp_path / "a.zarr") as slide:
        with pytest.raises(SlideReadError, match="is a link that leads outside it"):
            slide.read_pixels(0, (0, 0), (9, 9))
        slide.read_pixels(0, (100, 100), (9, 9))
    linked = tmp_path / "a.zarr" / "s1"
    linked.rename(tmp_path / "elsewhere")
    linked.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="a link that leads outside it"):
        open_slide(tmp_path / "a.zarr")


def test_an_empty_shard_is_an_error_and_a_missing_one_is_background(tmp_path, pyramid):
    """zarr 3.1 gives the fill value for both."""
    write_store(str(tmp_path / "a.zarr"), pyramid, shards=(128, 128, 3), fill_value=255)
    shards = tmp_path / "a.zarr" / "s0" / "c"
    (shards / "0" / "0" / "0").write_bytes(b"")
    (shards / "0" / "1" / "0").unlink()
    with open_slide(tmp_path / "a.zarr") as slide:
        for size in [(9, 9), (128, 128)]:
            with pytest.raises(SlideReadError, match=r"chunk 's0/c/0/0/0' is empty"):
                slide.read_pixels(0, (0, 0), size)
            assert (slide.read_pixels(0, (128, 0), size) == 255).all()


def test_a_store_that_was_unplugged_is_no_empty_slide(tmp_path, pyramid):
    write_store(str(tmp_path / "a.zarr"), pyramid)
    with open_slide(tmp_path / "a.zarr") as slide:
        slide.read_pixels(0, (0, 0), (9, 9))
        (tmp_path / "a.zarr").rename(tmp_path / "unplugged")
        with pytest.raises(SlideReadError, match="its folder is not there any more"):
            slide.read_pixels(0, (0, 0), (9, 9))
        (tmp_path / "unplugged").rename(tmp_path / "a.zarr")
        assert (slide.read_pixels(0, (0, 0), (9, 9)) == pyramid[0][:9, :9]).all()


def test_a_store_on_a_web_server_is_a_slide(tmp_path, pyramid):
    write_store(str(tmp_path / "a.zarr"), pyramid)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/a.zarr"
    try:
        with open_slide(url) as slide, open_slide(tmp_path / "a.zarr") as local:
            assert (slide.name, slide.source) == ("a.zarr", url)
            assert slide.mpp == (0.5, 0.5)
            assert slide.fingerprint == local.fingerprint
            assert (slide.read_pixels(0, (5, 6), (70, 80)) == pyramid[0][6:86, 5:75]).all()
        with pytest.raises(UserError, match=r"Cannot open 'gone.zarr'"):
            open_slide(url.replace("/a.zarr", "/gone.zarr"))
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("codec", ["zstd", "blosc", "gzip"])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_chunk_that_would_fill_the_memory_is_not_decoded(tmp_path, monkeypatch, codec, version):
    import numcodecs

    compressors = {
        "zstd": numcodecs.Zstd(),
        "blosc": numcodecs.Blosc(),
        "gzip": numcodecs.GZip(),
    }
    if version == "0.4":
        chosen = compressors[codec]
    else:
        chosen = {
            "zstd": zarr.codecs.ZstdCodec(),
            "blosc": zarr.codecs.BloscCodec(),
            "gzip": zarr.codecs.GzipCodec(),
        }[codec]
    store = tmp_path / "a.zarr"
    write_store(str(store), [np.ones((64, 64, 3), np.uint8)], version=version, compressors=chosen)
    (chunk,) = [p for p in (store / "s0").rglob("*") if p.is_file() and p.name.startswith("0")]
    chunk.write_bytes(compressors[codec].encode(np.zeros(3_000_000, np.uint8)))
    monkeypatch.setattr("napari_medssl.io.slides.zarr_store.MAX_CHUNK_BYTES", 2_000_000)
    monkeypatch.setattr("napari_medssl.io.slides.zarr_store._LEAST_SUSPECT_BYTES", 100)
    with (
        open_slide(store) as slide,
        pytest.raises(SlideReadError, match=r"would inflate to [0-9]{7} bytes"),
    ):
        slide.read_pixels(0, (0, 0), (9, 9))


def test_hostile_zip_files_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.ozx", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zarr.json", "{}")
        file.writestr("s0/c/0/0", bytes(30_000_000))
    with pytest.raises(UserError, match="would inflate from"):
        open_slide(tmp_path / "a.ozx")
    with zipfile.ZipFile(tmp_path / "b.ozx", "w") as file:
        file.writestr("../zarr.json", "{}")
    with pytest.raises(UserError, match=r"'../zarr.json' lies outside it"):
        open_slide(tmp_path / "b.ozx")
    (tmp_path / "c.ozx").write_bytes(b"PK\3\4junk")
    with pytest.raises(UserError, match="it is no whole zip file"):
        open_slide(tmp_path / "c.ozx")


def test_a_url_that_leads_nowhere_is_told_without_its_password():
    for url in ("http://user:secret@127.0.0.1:9/x.zarr", "unknown-protocol://user:secret@h/x.zarr"):
        with pytest.raises(UserError, match=r"'x.zarr'") as caught:
            OmeZarrSlide(url)
        assert "secret" not in str(caught.value)
