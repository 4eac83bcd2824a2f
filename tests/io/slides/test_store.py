"""A converted slide: the pixels, the levels, what another reader sees, and what is left out."""

import json

import numpy as np
import pytest
import zarr

from napari_medssl._errors import UserError
from napari_medssl.io.slide_store import (
    ConversionStopped,
    StoreSettings,
    read_manifest,
    verify_store,
    write_store,
)
from napari_medssl.io.slide_store.plan import Shard, StorePlan, touch_tissue
from napari_medssl.io.slide_store.pyramid import steps
from napari_medssl.io.slide_store.shard_codec import decode_shard, encode_shard
from napari_medssl.io.slide_store.source import SlideSource
from napari_medssl.io.slides import ArraySlide, open_slide
from napari_medssl.io.slides.halving import halve

HAS_JPEG = True
try:
    import imagecodecs.zarr  # noqa: F401
except ImportError:
    HAS_JPEG = False


def level(store, number):
    """Return a level as zarr reads it, shape (Y, X, 3)."""
    return zarr.open_array(store / str(number), mode="r")[:].transpose(1, 2, 0)


@pytest.fixture(scope="module")
def tissue():
    """4500 x 2100 pixels, three shards wide and two high, with odd sizes below."""
    random = np.random.default_rng(0)
    small = random.integers(90, 250, (2100 // 7 + 1, 4501 // 7 + 1, 3), np.uint8)
    pixels = np.repeat(np.repeat(small, 7, 0), 7, 1)[:2100, :4501].copy()
    pixels[::3] -= 20
    return pixels


@pytest.fixture(scope="module")
def store(tissue, tmp_path_factory):
    out = tmp_path_factory.mktemp("store") / "made.ome.zarr"
    report = write_store(ArraySlide(tissue, mpp=(0.25, 0.5)), out)
    assert (report.was_finished, report.resumed, report.left_out) == (False, 0, 0)
    assert report.rgb_bytes == tissue.nbytes
    return out


def test_level_0_is_the_slide_and_each_level_the_mean_of_the_one_above(store, tissue):
    assert (level(store, 0) == tissue).all()
    for number in range(1, 5):
        assert (level(store, number) == halve(level(store, number - 1))).all()
    assert not (store / "5").exists()
    assert max(level(store, 4).shape) <= 512


@pytest.mark.parametrize("chunk", [256, 512])
def test_our_shards_are_those_that_zarr_writes(tissue, tmp_path, chunk):
    """Same chunks, same compression; only the order of the chunks in the file is free."""
    slide = ArraySlide(tissue[:1000, :2300], mpp=0.5)
    write_store(slide, tmp_path / "ours.ome.zarr", StoreSettings(chunk=chunk))
    document = json.loads((tmp_path / "ours.ome.zarr" / "0" / "zarr.json").read_bytes())
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "zarr.json").write_text(json.dumps(document))
    theirs = zarr.open_array(tmp_path / "theirs", mode="r+")
    theirs[:] = tissue[:1000, :2300].transpose(2, 0, 1)
    for key in ("c/0/0/0", "c/0/0/1"):
        ours = (tmp_path / "ours.ome.zarr" / "0" / key).read_bytes()
        other = (tmp_path / "theirs" / key).read_bytes()
        assert len(ours) == len(other)
        shape = (1000, 2048 if key.endswith("/0") else 252)
        assert (
            decode_shard(ours, shape, "lossless", chunk)
            == decode_shard(other, shape, "lossless", chunk)
        ).all()


def test_white_chunks_take_no_room_and_read_as_white(tmp_path):
    pixels = np.full((1200, 1100, 3), 255, np.uint8)
    data = encode_shard(pixels, "lossless", 512)
    assert len(data) == 16 * 16 + 4
    assert (decode_shard(data, (1200, 1100), "lossless", 512) == 255).all()
    write_store(ArraySlide(pixels), tmp_path / "white.ome.zarr")
    assert (level(tmp_path / "white.ome.zarr", 0) == 255).all()


def test_the_store_opens_as_a_slide(store, tissue):
    with open_slide(store) as slide:
        assert slide.dimensions == (4501, 2100)
        assert slide.mpp == (0.25, 0.5)
        assert slide.level_downsamples == (1, 2, 4, 8, 16)
        assert (
            slide.read_pixels(0, (2000, 1990), (300, 100)) == tissue[1990:2090, 2000:2300]
        ).all()


def test_ome_zarr_py_reads_levels_scales_and_channels(store, tissue):
    reader = pytest.importorskip("ome_zarr.reader", reason="ome-zarr is not installed")
    from ome_zarr.io import parse_url

    (node,) = list(reader.Reader(parse_url(store, mode="r"))())
    assert [part.shape for part in node.data] == [
        (3, 2100, 4501), (3, 1050, 2251), (3, 525, 1126), (3, 263, 563), (3, 132, 282),
    ]  # fmt: skip
    assert (
        np.asarray(node.data[0][:, :300, -300:]).transpose(1, 2, 0) == tissue[:300, -300:]
    ).all()
    assert [axis["name"] for axis in node.metadata["axes"]] == ["c", "y", "x"]
    assert {axis.get("unit") for axis in node.metadata["axes"][1:]} == {"micrometer"}
    transformations = node.metadata["coordinateTransformations"]
    assert [one[0]["scale"] for one in transformations] == [
        [1.0, 0.5 * 2**k, 0.25 * 2**k] for k in range(5)
    ]
    assert transformations[2][1]["translation"] == [0.0, 0.75, 0.375]
    assert node.metadata["channel_names"] == ["red", "green", "blue"]


def test_the_metadata_fit_the_0_5_standard(store):
    models = pytest.importorskip("ome_zarr_models.v05", reason="ome-zarr-models is not installed")
    image = models.Image.from_zarr(zarr.open_group(store, mode="r"))
    assert image.attributes.ome.version == "0.5"
    assert len(image.attributes.ome.multiscales[0].datasets) == 5


def test_pixel_centres_of_a_lower_level_lie_between_those_above(store):
    """The translation of a level puts its first centre at the mean of those it is made from."""
    ome = zarr.open_group(store, mode="r").attrs["ome"]
    for number, dataset in enumerate(ome["multiscales"][0]["datasets"]):
        shift = dataset["coordinateTransformations"][1:]
        due = np.mean(np.arange(2**number)) * np.array([0.5, 0.25])
        assert (shift[0]["translation"][1:] if shift else [0, 0]) == pytest.approx(list(due))


def test_without_mpp_units_are_pixels(tissue, tmp_path):
    report = write_store(ArraySlide(tissue[:100, :90]), tmp_path / "made.ome.zarr")
    assert report.mpp is None
    multiscale = zarr.open_group(tmp_path / "made.ome.zarr", mode="r").attrs["ome"]["multiscales"][
        0
    ]
    assert all("unit" not in axis for axis in multiscale["axes"])
    assert multiscale["datasets"][0]["coordinateTransformations"][0]["scale"] == [1, 1, 1]
    with pytest.raises(UserError, match="does not say how large its pixels are"):
        write_store(ArraySlide(tissue), tmp_path / "b.ome.zarr", StoreSettings(mpp=1.0))


def test_the_manifest_names_every_file(store, tissue):
    manifest = read_manifest(store)
    found = {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()}
    assert set(manifest.files) == found - {"manifest.json"}
    assert manifest.left_out == 0
    assert verify_store(store).is_whole
    assert manifest.fingerprint == ArraySlide(tissue).fingerprint


def test_finer_than_the_slide_is_refused(tissue, tmp_path):
    slide = ArraySlide(tissue, mpp=0.5)
    with pytest.raises(UserError, match=r"has 0\.5 microns per pixel; 0\.25 is finer"):
        write_store(slide, tmp_path / "a.ome.zarr", StoreSettings(mpp=0.25))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("mpp", "level_due", "is_scaled"), [
    (0.5, 0, False), (0.502, 0, False), (0.7, 0, True), (1.0, 1, False), (1.7, 1, True),
    (4.0, 3, False), (40.0, 4, True),
])  # fmt: skip
def test_the_best_level_is_read(tissue, mpp, level_due, is_scaled):
    source = SlideSource.at_mpp(ArraySlide(tissue, mpp=0.5), mpp)
    assert (source.level, source.is_scaled) == (level_due, is_scaled)
    assert source.mpp == pytest.approx((mpp, mpp), rel=0.01)
    assert source.width == pytest.approx(4501 * 0.5 / source.mpp[0], abs=1)


def test_scaled_parts_meet_without_a_seam_and_stay_in_place():
    """Beside a float64 sum with the triangle over the whole slide."""
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (700, 60, 3), np.uint8)
    source = SlideSource.at_mpp(ArraySlide(pixels, mpp=0.5), 0.5 * 1.37)
    whole = np.concatenate(
        [source.read(0, y, source.width, min(61, source.height - y))
         for y in range(0, source.height, 61)]
    )  # fmt: skip
    due = filtered(filtered(pixels.astype(float), 1.37, source.height).transpose(1, 0, 2), 1.37,
                  source.width).transpose(1, 0, 2)  # fmt: skip
    assert np.abs(whole - due).max() <= 1.01  # two roundings to whole numbers
    assert np.abs((whole - due).mean()) < 0.05
    # Pillow takes the two axes in the order that is faster for the part: one grey level.
    assert np.abs(source.read_all().astype(int) - whole).max() <= 1


def filtered(values, scale, count):
    """Return `count` weighted means along the first axis; window as wide as two new pixels."""
    rows = []
    for new in range(count):
        x = (np.arange(len(values)) + 0.5 - (new + 0.5) * scale) / scale
        weight = np.maximum(0, 1 - np.abs(x))
        rows.append(np.tensordot(weight / weight.sum(), values, 1))
    return np.array(rows)


def test_a_large_step_reads_small_parts(tissue):
    """A slide of one level scaled down 40 times never needs a read of 2048 x 40 pixels a side."""

    class OneLevel(ArraySlide):
        level_dimensions = property(lambda self: super().level_dimensions[:1])
        level_downsamples = property(lambda self: (1.0,))
        largest = 0

        def read_pixels(self, level, corner, size):
            self.largest = max(self.largest, *size)
            return super().read_pixels(level, corner, size)

    slide = OneLevel(tissue, mpp=0.5)
    source = SlideSource.at_mpp(slide, 20)
    assert source.read_all().shape == (52, 112, 3)
    assert slide.largest < 2300


def test_tissue_only_writes_what_touches_tissue(tissue, tmp_path):
    out = tmp_path / "made.ome.zarr"
    seen = []

    def find(slide):
        seen.append(slide)
        found = np.zeros((132, 282), bool)
        found[2, 2] = True
        return found, 16.0

    slide = ArraySlide(tissue, mpp=0.5)
    report = write_store(slide, out, StoreSettings(tissue_only=True), find_tissue=find)
    assert seen == [slide]
    assert report.left_out == 5
    assert sorted(path.name for path in (out / "0" / "c" / "0" / "0").iterdir()) == ["0"]
    pixels = level(out, 0)
    assert (pixels[:2048, :2048] == tissue[:2048, :2048]).all()
    assert (pixels[:, 2048:] == 255).all()
    for number in range(1, 5):
        assert (level(out, number) == halve(level(out, number - 1))).all()
    document = json.loads((out / "manifest.json").read_bytes())
    assert document["left_out"] == {"shards": 5, "why": "no tissue"}
    assert document["fill_value"] == 255
    assert verify_store(out).is_whole


def test_without_tissue_nothing_is_written(tissue, tmp_path):
    slide = ArraySlide(tissue, mpp=0.5)
    with pytest.raises(UserError, match="No tissue was found on 'array'"):
        write_store(
            slide,
            tmp_path / "a.ome.zarr",
            StoreSettings(tissue_only=True),
            find_tissue=lambda slide: (np.zeros((132, 282), bool), 16.0),
        )
    assert not list(tmp_path.iterdir())


def test_a_mask_pixel_over_a_border_keeps_both_shards():
    plan = StorePlan.of_size(4096, 4096)
    mask = np.zeros((3, 3), bool)
    mask[1, 1] = True  # covers 1366 to 2732
    assert touch_tissue(plan, mask, (1366, 1366)).kept.all()
    mask[:] = False
    mask[0, 0] = True
    assert touch_tissue(plan, mask, (1366, 1366)).kept.tolist() == [[True, False], [False, False]]


def test_a_plan_gives_parts_before_what_is_made_of_them():
    plan = StorePlan.of_size(9000, 5000)
    order = list(plan.shards())
    assert len(order) == len(set(order)) == plan.count()
    for place, shard in enumerate(order):
        for child in shard.children if shard.level else ():
            assert not plan.is_written(child) or order.index(child) < place


def test_a_resumed_run_begins_with_what_is_missing_and_its_neighbours():
    plan = StorePlan.of_size(8000, 4000)  # 4 x 2 shards, then 2 x 1, 1, 1, 1
    done = {Shard(0, 0, 0), Shard(0, 0, 2), Shard(0, 0, 3), Shard(0, 1, 2), Shard(0, 1, 3),
            Shard(1, 0, 1)}  # fmt: skip
    assert set(steps(plan, done)) == {
        Shard(0, 0, 0), Shard(0, 0, 1), Shard(0, 1, 0), Shard(0, 1, 1), Shard(1, 0, 1),
    }  # fmt: skip


def test_nothing_about_a_patient_is_copied(data_dir, tmp_path):
    """The SVS holds label, macro, a date, a user and a file name."""
    with open_slide(data_dir / "slides" / "CMU-1-Small-Region.svs") as slide:
        private = slide.read_private_properties()
        write_store(slide, tmp_path / "made.ome.zarr")
        assert (level(tmp_path / "made.ome.zarr", 0)[:500, :500]
                == slide.read_pixels(0, (0, 0), (500, 500))).all()  # fmt: skip
    content = b"".join(p.read_bytes() for p in tmp_path.rglob("*.json"))
    assert b"CMU" not in content
    assert b"aperio." not in content
    for key in ("aperio.Date", "aperio.Filename", "aperio.ImageID", "aperio.User", "aperio.Title"):
        value = private.get(key, "")
        assert len(value) < 3 or value.encode() not in content, key
    about = zarr.open_group(tmp_path / "made.ome.zarr", mode="r").attrs["medssl"]["slide"]
    assert about["properties"] == {"openslide.objective-power": "20", "openslide.vendor": "aperio"}


@pytest.mark.skipif(HAS_JPEG, reason="this imagecodecs has the codec")
def test_jpeg_is_refused_where_no_reader_would_have_it(tissue, tmp_path):
    with pytest.raises(UserError, match=r"JPEG in zarr needs Python 3\.12"):
        write_store(ArraySlide(tissue), tmp_path / "a.ome.zarr", StoreSettings(codec="jpeg"))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(
    not HAS_JPEG, reason="this imagecodecs has no JPEG codec for zarr (Python 3.12)"
)
def test_jpeg_levels_are_the_means_of_what_is_stored(tissue, tmp_path):
    out, again = tmp_path / "made.ome.zarr", tmp_path / "again.ome.zarr"
    settings = StoreSettings(codec="jpeg")
    write_store(ArraySlide(tissue, mpp=0.5), out, settings)
    full = level(out, 0)
    assert np.abs(full.astype(int) - tissue).mean() < 12
    for number in range(2, 5):
        mean = halve(level(out, number - 1))
        due = decode_shard(encode_shard(mean, "jpeg", 512), mean.shape[:2], "jpeg", 512)
        assert (level(out, number) == due).all()
    made = []
    with pytest.raises(ConversionStopped):
        write_store(
            ArraySlide(tissue, mpp=0.5),
            again,
            settings,
            on_step=made.append,
            should_stop=lambda: len(made) > 4,
            threads=1,
        )
    assert write_store(ArraySlide(tissue, mpp=0.5), again, settings).resumed > 2
    for path in out.rglob("*"):
        other = again / path.relative_to(out)
        assert path.is_dir() or path.read_bytes() == other.read_bytes()
    assert verify_store(out).is_whole
    with open_slide(out) as slide:
        assert (slide.read_pixels(0, (0, 0), (700, 600)) == full[:600, :700]).all()


@pytest.mark.parametrize(
    ("settings", "text"), [({"chunk": 300}, "due is 256 or 512"), ({"codec": "png"}, "'png'")]
)
def test_settings_that_make_no_sense_are_refused(settings, text):
    with pytest.raises(UserError, match=text):
        StoreSettings(**settings)
