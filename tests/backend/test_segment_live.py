"""Segmenting and regions for a window equal what the command line writes; areas of masks."""

import csv
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image
from shape_world import eye, small_config, write_world

from napari_medssl._errors import UserError
from napari_medssl.backend import mask_areas, segment_live
from napari_medssl.backend.mask_areas import (
    HEADER,
    MaskToMeasure,
    class_areas,
    rounded_mm2,
    write_areas,
)
from napari_medssl.backend.region_maps import load_region_finder
from napari_medssl.backend.segment_files import segment_files
from napari_medssl.backend.segment_live import (
    offered_model,
    offered_models,
    prepare,
    regions_of_source,
    segment_source,
)
from napari_medssl.backend.segmenters import SegmentConfig
from napari_medssl.backend.train_shape_guided import train_shape_guided
from napari_medssl.io.class_files import class_png, parse_class_png, read_class_file
from napari_medssl.io.images import ImageRef


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder of eyes, and a model of one step."""
    folder = tmp_path_factory.mktemp("world")
    eyes, shapes, _ = write_world(folder)
    out = folder / "vessels.safetensors"
    train_shape_guided(small_config(eyes, shapes, out, steps=1))
    return eyes, str(out)


def test_segmenting_live_equals_the_files_of_the_command_line(world, tmp_path):
    eyes, model = world
    config = SegmentConfig(model=model, threshold=0.3, device="cpu")
    segment_files([ImageRef(eyes / "1.png")], tmp_path, config)
    prepare(config)
    found = segment_source(config, str(eyes / "1.png"))
    assert (found.mask == read_class_file(tmp_path / "1.png")).all()
    assert (found.model, found.classes) == ("vessels", ("vessel",))


def test_regions_are_the_largest_shares_and_keep_their_numbers(world):
    eyes, model = world
    found = regions_of_source(model, "cpu", str(eyes / "2.png"))
    assert found.names == ("vessel", "region 2", "region 3")
    assert found.regions.shape == (72, 72)
    assert found.regions.dtype == np.uint8
    assert found.regions[0, 0] == 0  # outside the field of view
    assert set(np.unique(found.regions)) <= {0, 1, 2, 3}
    again = load_region_finder(model, "cpu").find(eye(2))
    assert (again.regions == found.regions).all()


def test_a_model_trained_anew_is_loaded_anew(world, tmp_path):
    eyes, model = world
    loads = []
    config = SegmentConfig(model=model, device="cpu")
    segment_source(config, str(eyes / "1.png"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment_live, "load_segmenter", lambda _: loads.append(1) or 1 / 0)
        segment_source(config, str(eyes / "1.png"))
        assert not loads
        patch.setattr(segment_live, "_stamp", lambda _: "another")
        with pytest.raises(ZeroDivisionError):
            segment_source(config, str(eyes / "1.png"))


def test_models_without_regions_or_classes_are_refused_in_words():
    with pytest.raises(UserError, match="is for the task 'figures' and has no regions"):
        load_region_finder("simcfs-figures")
    with pytest.raises(UserError, match="segments nothing"):
        prepare(SegmentConfig(model="simcfs-figures"))


def test_the_models_that_are_offered_segment_or_have_regions(world):
    names = [one.name for one in offered_models()]
    assert names[0] == "retina-vessels"
    assert "simcfs-figures" not in names
    assert offered_model(world[1]).classes == ("vessel",)
    assert offered_model("simcfs-figures").classes == ()


def test_class_pictures_come_back_and_others_are_refused(tmp_path):
    mask = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert (parse_class_png(class_png(mask)) == mask).all()
    Image.new("RGB", (4, 3)).save(tmp_path / "rgb.png")
    (tmp_path / "broken.png").write_bytes(class_png(mask)[:50])
    for name in ("rgb.png", "broken.png", "missing.png"):
        with pytest.raises(UserError, match="Cannot read the mask"):
            read_class_file(tmp_path / name)


def test_areas_count_pixels_mm2_and_the_field_of_view(tmp_path):
    mask = np.zeros((10, 20), np.uint8)
    mask[:2] = 1
    mask[9, 0] = 3
    view = np.zeros((5, 10), bool)  # half as large as the mask: its left half, row 0 to 7
    view[:4, :5] = True
    found = class_areas(mask, (0.5, 0.1), (2,), view)
    assert [(a.number, a.pixels) for a in found.classes] == [(1, 40), (2, 0), (3, 1)]
    assert [a.mm2 for a in found.classes] == pytest.approx([2.0, 0.0, 0.05])
    assert found.view_pixels == 80
    assert [a.part_of_image for a in found.classes] == pytest.approx([0.2, 0, 0.005])
    assert [a.part_of_view for a in found.classes] == pytest.approx([0.25, 0, 0])
    assert class_areas(mask, None).classes[0].part_of_view is None


def test_areas_do_not_depend_on_the_bands_that_are_counted(monkeypatch):
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 4, (97, 61)).astype(np.uint8)
    view = rng.random((31, 17)) < 0.5
    whole = class_areas(mask, None, (), view)
    monkeypatch.setattr(mask_areas, "_BAND", 300)
    assert class_areas(mask, None, (), view) == whole


def test_small_areas_of_slides_keep_their_digits(tmp_path):
    """In mm² an object of a slide is far below one: six places would leave one or two digits."""
    assert [rounded_mm2(value) for value in (None, 0.0, 12.34567891)] == ["", 0.0, 12.345679]
    assert rounded_mm2(0.0000159712345) == 0.0000159712
    mask = np.zeros((8, 9), np.uint8)
    mask[0, :5] = mask[4:6, :8] = 1
    write_areas(tmp_path / "a.csv", [MaskToMeasure("a", mask, {1: "cell"}, (0.001, 0.001), "")])
    with (tmp_path / "a.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (float(row["area_mm2"]), float(row["object_mm2_mean"])) == (2.1e-05, 1.05e-05)


def test_the_table_of_areas_tells_the_black_rim_from_the_field_of_view(tmp_path):
    rows, columns = np.mgrid[:200, :300]
    disc = np.hypot(rows - 99.5, columns - 149.5) < 80
    picture = tmp_path / "eye.png"
    Image.fromarray(np.where(disc, 120, 2).astype(np.uint8)).save(picture)
    mask = np.zeros((200, 300), np.uint8)
    mask[90:110, 100:200] = 1
    write_to = tmp_path / "mask.png"
    write_to.write_bytes(class_png(mask))
    gone = ImageRef(tmp_path / "gone.png")
    masks = [
        MaskToMeasure("=a.png", write_to, {1: "vessel"}, (0.5, 0.1), "vessels", ImageRef(picture)),
        MaskToMeasure("b.png", mask + 2, {2: "disc"}, None, "", gone),
    ]
    report = write_areas(tmp_path / "areas.csv", masks)
    assert report.rows == 3
    assert "gone.png" in report.failures[0]
    with (tmp_path / "areas.csv").open(newline="") as stream:
        lines = list(csv.reader(stream))
    assert tuple(lines[0]) == HEADER
    assert lines[1][8:] == ["1", "2000.0", "2000.0", "100.0", "100.0", "vessels"]
    assert lines[1][:6] == ["'=a.png", "1", "vessel", "2000", "100.0", str(round(2000 / 60000, 6))]
    assert int(lines[1][6]) == pytest.approx(disc.sum(), rel=0.03)
    assert float(lines[1][7]) == pytest.approx(2000 / disc.sum(), rel=0.03)
    objects = ["1", "58000.0", "58000.0", "", "", ""]
    assert lines[2] == ["b.png", "2", "disc", "58000", "", "0.966667", "", "", *objects]
    assert lines[3][1:4] == ["3", "class 3", "2000"]


def test_regions_of_a_model_without_shapes_cover_the_whole_image(tmp_path):
    import torch

    from napari_medssl.backend.models import ModelCard, Recipe, write_model
    from napari_medssl.backend.pixel_embedding import ARCHITECTURE, TASK
    from napari_medssl.methods.local_discrimination.network import (
        LocalDiscriminationNetwork,
        NetworkConfig,
    )

    torch.manual_seed(3)
    network = LocalDiscriminationNetwork(NetworkConfig(1, 4, 8, 5, 4))
    card = ModelCard(
        name="five",
        task=TASK,
        architecture=ARCHITECTURE,
        config=asdict(network.config) | {"pixels": 64, "grid": 8, "sigma": 0.25},
        recipe=Recipe("medssl train local-discrimination", {}, 1, 1, None, "cpu"),
        data=(),
        metrics={},
        licence="BSD-3-Clause",
        version="1",
        description="A test.",
    )
    write_model(tmp_path / "five.safetensors", network.state_dict(), card)
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 255, (90, 130, 3), dtype=np.uint8)
    found = load_region_finder(str(tmp_path / "five.safetensors"), "cpu").find(picture)
    assert found.regions.shape == (90, 130)
    assert found.names == tuple(f"region {number}" for number in range(1, 6))
    assert found.regions.min() >= 1
    assert found.regions.max() <= 5
    assert offered_model(str(tmp_path / "five.safetensors")).classes == ()
