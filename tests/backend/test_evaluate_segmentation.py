"""Scores by class, image and volume: what counts, what is left out, and what is told."""

import json
import math

import numpy as np
import pytest
import tifffile
from scored_world import Reader, grey_of, square, write_pair, write_table

from napari_medssl._errors import UserError
from napari_medssl.backend import evaluate_segmentation as work
from napari_medssl.backend.evaluate_segmentation import (
    EvaluateSegmentationConfig,
    evaluate_segmentation,
)
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.segmentation_scores import score_classes, score_mask
from napari_medssl.backend.surface_distances import surface_distances
from napari_medssl.cli import main

EMPTY = square(0, (0, 0))


@pytest.fixture
def reader(monkeypatch):
    """Give models by name: "reader:a,b" knows the classes a and b."""

    def load(config):
        name, _, classes = config.model.partition(":")
        return Reader(tuple(classes.split(",")), name)

    monkeypatch.setattr(work, "load_segmenter", load)


def make_set(folder, pairs, labels, columns="", more=()):
    """Write (found, truth) pairs as a set."""
    rows = []
    for number, (found, truth) in enumerate(pairs):
        write_pair(folder, f"{number}.png", found, truth)
        end = f",{more[number]}" if more else ""
        rows.append(f"{number}.png,{number}.png,g{number // 2},{labels}{end}")
    return write_table(folder, rows, "image,mask,group,labels" + columns)


def evaluate(folder, model, **changes):
    return evaluate_segmentation(
        EvaluateSegmentationConfig(folder, (model,), baselines=False, **changes)
    )


def both(one, other):
    """Return a mask with the classes of two that do not meet."""
    assert not (one & other).any()
    return one + other


def test_outcomes_are_told_apart_and_none_flatters():
    """A class in neither is no score; invented and missed are 0; a miss is as far as can be."""
    some, none = square(1, (2, 2)) > 0, np.zeros((24, 32), bool)
    scores = [score_mask(a, b, (1.0, 1.0)) for a in (none, some) for b in (none, some)]
    assert [one.outcome for one in scores] == ["absent", "missed", "invented", "present"]
    assert [one.dsc for one in scores][1:] == [0, 0, 1]
    assert math.isnan(scores[0].dsc)
    assert [math.isnan(one.asd) for one in scores] == [True, False, True, False]
    assert scores[1].asd == scores[1].hd95 == 40
    assert scores[3].asd == 0
    (one,) = score_classes(
        [a.astype(np.uint8) for a in (none, none, some, some)],
        [b.astype(np.uint8) for b in (none, some, none, some)],
        ("a",),
        [(1.0, 1.0)] * 4,
    )
    assert (one.mean, one.spread("dsc").count) == (pytest.approx(1 / 3), 3)
    assert (one.spread("asd").mean, one.spread("asd").count) == (20, 2)
    counts = [one.count(outcome) for outcome in ("present", "missed", "invented", "absent")]
    assert counts == [1, 1, 1, 1]


def test_without_any_score_there_is_no_mean_and_no_warning():
    (one,) = score_classes([EMPTY], [EMPTY], ("a",), [(1.0, 1.0)])
    assert one.spread("dsc").count == 0
    assert all(math.isnan(value) for value in (one.mean, one.std, one.spread("hd95").least))


def test_each_class_is_scored_by_itself_and_the_rarest_is_named(tmp_path, reader):
    large, small = square(1, (1, 1), 12), square(2, (18, 20), 3)
    pairs = [(both(large, small), both(large, small)), (large, both(large, small)), (large, large)]
    report = evaluate(make_set(tmp_path / "s", pairs, "0|1|2"), "reader:body,spot")
    assert (report.kind, report.unit, report.rare) == ("image", "pixels", 1)
    assert [one.name for one in report.classes] == ["1", "2"]
    assert [one.cases for one in report.classes] == [3, 2]
    assert report.classes[1].share == pytest.approx(2 * 9 / (3 * 24 * 32))
    (method,) = report.methods
    body, spot = method.classes
    assert (body.name, spot.name, method.matched) == ("body", "spot", "number")
    assert (body.mean, spot.mean, method.mean) == (1, 0.5, 0.75)
    assert (spot.spread("dsc").count, spot.count("missed"), spot.count("absent")) == (2, 1, 1)
    assert spot.spread("asd").mean == 20  # the diagonal, 40, and 0


def test_the_report_is_whole_and_is_json(tmp_path, reader):
    spot = square(2, (18, 20), 3)
    pairs = [(both(square(1, (1, 1)), spot), both(square(1, (1, 2)), spot)), (EMPTY, EMPTY)]
    folder = make_set(tmp_path / "s", pairs, "0|1|2", ",spacing_mm", ["0.5"] * 2)
    report = json.loads(evaluate(folder, "reader:1,2").to_json())
    assert (report["unit"], report["scored"], report["rare_class"]) == ("mm", "images", "2")
    (method,) = report["methods"]
    assert method["classes_matched_by"] == "name"
    assert method["rare_class"] == "2"
    found = method["classes"]["1"]
    due = surface_distances(pairs[0][0] == 1, pairs[0][1] == 1, (0.5, 0.5))
    assert found["asd"] == {"0.png": pytest.approx(due.asd), "1.png": None}
    assert found["hd95_mean"] == pytest.approx(due.hd95)
    assert found["dsc"] == {"0.png": 0.75, "1.png": None}
    assert found["counts"] == {"present": 1, "missed": 0, "invented": 0, "absent": 1}
    assert method["mean_over_classes"]["dsc"] == pytest.approx(0.875)
    assert method["classes_in_mean"]["dsc"] == 2


def test_volumes_are_scored_in_three_axes(tmp_path, reader):
    """A slice too many is 5 mm away, which no score by slices would see."""
    mask = square(1, (4, 4), 6)
    pairs = [(mask, EMPTY), (mask, mask), (mask, mask)]
    more = [f"v,{z},5|0.5|0.5" for z in range(3)]
    rows = [(found, truth) for found, truth in pairs]
    folder = tmp_path / "s"
    for number, (found, truth) in enumerate(rows):
        write_pair(folder, f"{number}.png", found, truth)
    lines = [f"{n}.png,{n}.png,g,0|1,{more[n]}" for n in (2, 0, 1)]  # in any order
    write_table(folder, lines, "image,mask,group,labels,volume,z,spacing_mm")
    report = evaluate(folder, "reader:organ")
    assert (report.cases, report.kind, report.unit) == (("v",), "volume", "mm")
    (one,) = report.methods[0].classes
    assert one.mean == pytest.approx(2 * 2 * 36 / (3 * 36 + 2 * 36))
    found, truth = (np.stack([pair[k] for pair in pairs]) > 0 for k in (0, 1))
    due = surface_distances(found, truth, (5, 0.5, 0.5))
    assert (one.each("asd"), one.each("hd95")) == ((due.asd,), (due.hd95,))
    assert due.hd95 > 0.5


def write_known(folder, name, pair, sides_um, tell=("images",)):
    """Write a pair of TIFF files of which some tell the size of a pixel, `(y, x)` in µm."""
    for kind, pixels in (("images", grey_of(pair[0])), ("masks", pair[1])):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        resolution = tuple(1 / side for side in sides_um[::-1])
        told = {"imagej": True, "resolution": resolution, "metadata": {"unit": "um"}}
        tifffile.imwrite(folder / kind / name, pixels, **(told if kind in tell else {}))


NEAR = (square(1, (4, 4)), square(1, (6, 7)))
TABLE = "image,mask,group,labels,spacing_mm"


def asd(report):
    """Return the ASD of each image."""
    return report.methods[0].classes[0].each("asd")


def due(*spacing):
    """Return the ASD of `NEAR` with pixels of a size."""
    return pytest.approx(surface_distances(NEAR[0] > 0, NEAR[1] > 0, spacing).asd)


def test_mm_and_pixels_are_never_averaged(tmp_path, reader):
    """One image without a size, and the distances of all are in pixels, which is told."""
    for name in ("a.png", "b.png", "c.png"):
        write_pair(tmp_path, name, *NEAR)
    rows = [
        f"{name}.png,{name}.png,g,0|1,{side}"
        for name, side in zip("abc", ("5", "", "2|3"), strict=True)
    ]
    report = evaluate(write_table(tmp_path, rows, TABLE), "reader:1")
    assert (report.unit, asd(report)) == ("pixels", (due(1, 1),) * 3)
    assert report.warnings == (
        "The size of a pixel is not known of 1 of 3 images ('b.png'): all distances are in "
        "pixels. Write spacing_mm into pairs.csv to have them in mm.",
    )
    assert json.loads(report.to_json())["warnings"] == list(report.warnings)
    rows[1] += "1"
    report = evaluate(write_table(tmp_path, rows, TABLE), "reader:1")
    assert (report.unit, report.warnings) == ("mm", ())
    assert asd(report) == (due(5, 5), due(1, 1), due(2, 3))
    assert evaluate(tmp_path, "reader:1", distances=False).warnings == ()


def test_volumes_of_slices_have_one_unit_too(tmp_path, reader):
    for number in range(4):
        write_pair(tmp_path, f"{number}.png", *NEAR)
    places = ("v,0,5|1|1", "v,1,5|1|1", "w,0,", "w,1,")
    rows = [f"{n}.png,{n}.png,g,0|1,{place}" for n, place in enumerate(places)]
    write_table(tmp_path, rows, "image,mask,group,labels,volume,z,spacing_mm")
    report = evaluate(tmp_path, "reader:1")
    found, truth = (np.stack([mask, mask]) > 0 for mask in NEAR)
    assert asd(report) == (pytest.approx(surface_distances(found, truth, (1, 1, 1)).asd),) * 2
    assert "not known of 1 of 2 volumes ('w')" in report.warnings[0]


def test_the_size_of_a_pixel_is_read_from_tiff_files(tmp_path, reader):
    """Rows and columns by themselves; a mask is asked where its image does not say it."""
    write_known(tmp_path, "a.tif", NEAR, (2, 3))
    write_known(tmp_path, "b.tif", NEAR, (4, 1), tell=("masks",))
    write_known(tmp_path, "c.tif", NEAR, (2, 3), tell=("images", "masks"))
    report = evaluate(tmp_path, "reader:1")
    assert (report.unit, report.warnings, report.failures) == ("mm", (), ())
    assert asd(report) == (due(0.002, 0.003), due(0.004, 0.001), due(0.002, 0.003))
    write_known(tmp_path, "d.tif", NEAR, (2, 3), tell=())
    report = evaluate(tmp_path, "reader:1")
    assert (report.unit, asd(report)) == ("pixels", (due(1, 1),) * 4)
    assert "not known of 1 of 4 images ('d.tif')" in report.warnings[0]


def test_the_table_goes_before_the_file_and_says_so(tmp_path, reader, capsys):
    for name in "ab":
        write_known(tmp_path, f"{name}.tif", NEAR, (2, 3))
    rows = ["a.tif,a.tif,g,0|1,0.004|0.006", "b.tif,b.tif,g,0|1,0.002|0.003"]
    report = evaluate(write_table(tmp_path, rows, TABLE), "reader:1")
    told = (
        "pairs.csv has another spacing_mm than the file of 1 of 2 images ('a.tif': 0.004 x 0.006 "
        "in the table, 0.002 x 0.003 in the file): that of the table is taken."
    )
    assert (report.unit, report.warnings) == ("mm", (told,))
    assert asd(report) == (due(0.004, 0.006), due(0.002, 0.003))
    command = ["evaluate", "segmentation", "--data", str(tmp_path), "--model", "reader:1"]
    assert main([*command, "--no-baselines"]) == 0
    assert f"warning: {told}" in capsys.readouterr().err


def test_a_table_goes_before_the_files_of_slices(tmp_path, reader):
    for name in "ab":
        write_known(tmp_path, f"{name}.tif", NEAR, (2, 3))
    rows = [f"{name}.tif,{name}.tif,g,0|1,v,{z},5|1|1" for z, name in enumerate("ab")]
    write_table(tmp_path, rows, "image,mask,group,labels,volume,z,spacing_mm")
    report = evaluate(tmp_path, "reader:1")
    assert report.unit == "mm"
    assert "1 of 1 volume ('v': 1 x 1 in the table, 0.002 x 0.003 in the" in report.warnings[0]


def test_an_image_and_a_mask_of_other_pixels_are_told(tmp_path, reader):
    write_known(tmp_path, "a.tif", NEAR, (2, 3))
    write_known(tmp_path, "b.tif", NEAR, (2, 3))
    mask = tmp_path / "masks" / "b.tif"
    told = {"imagej": True, "resolution": (1, 1), "metadata": {"unit": "um"}}
    tifffile.imwrite(mask, NEAR[1], **told)
    report = evaluate(tmp_path, "reader:1")
    assert (report.cases, report.unit) == (("a.tif",), "mm")
    assert report.failures[0][0] == "b.tif"
    assert "'b.tif' has pixels of 0.003 x 0.002 mm, its mask" in report.failures[0][1]
    assert evaluate(tmp_path, "reader:1", distances=False).cases == ("a.tif", "b.tif")


def test_sets_with_other_labels_in_each_image_are_scored(tmp_path, reader):
    folder = tmp_path / "s"
    write_pair(folder, "a.png", square(1, (1, 1)), square(3, (1, 1)))
    write_pair(folder, "b.png", square(2, (1, 1)), square(8, (1, 1)))
    write_table(folder, ["a.png,a.png,a,0|3", "b.png,b.png,b,0|8"])
    (method,) = evaluate(folder, "reader:chamber,vessel").methods
    assert [one.mean for one in method.classes] == [1, 1]
    assert [one.count("absent") for one in method.classes] == [1, 1]


def test_objects_are_foreground(tmp_path, reader):
    truth = np.maximum(square(4, (1, 1)).astype(np.uint16) * 100, square(2, (10, 10)))
    folder = make_set(tmp_path / "s", [(truth > 0, truth)], "2 instances")
    (method,) = evaluate(folder, "reader:nucleus").methods
    assert (method.classes[0].name, method.mean) == ("nucleus", 1)


def test_classes_are_matched_by_name_in_any_order(tmp_path, reader):
    found = both(square(2, (1, 1)), square(1, (9, 9), 5))
    truth = both(square(1, (1, 1)), square(2, (9, 9), 5))
    folder = make_set(tmp_path / "s", [(found, truth)], "0|1|2")
    (folder / "classes.csv").write_text("class,name\n1,Wall\n2,Cavity\n")
    (method,) = evaluate(folder, "reader:cavity,wall").methods
    assert (method.matched, method.mean) == ("name", 1)
    assert [one.name for one in method.classes] == ["Wall", "Cavity"]
    (method,) = evaluate(folder, "reader:1,2").methods
    assert (method.matched, method.mean) == ("number", 0)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("m:a", r"Model 'm' knows 1 class \(a\), 's' has 2 classes \(wall, cavity\). Due are as"),
        ("m:a,b,c", r"knows 3 classes \(a, b, c\)"),
        ("m:wall,fat", r"knows the classes wall, fat, 's' has wall, cavity.* into classes.csv"),
    ],
)
def test_a_model_of_other_classes_is_told_before_it_runs(tmp_path, reader, model, told):
    folder = make_set(tmp_path / "s", [(EMPTY, EMPTY)], "0|1|2")
    (folder / "classes.csv").write_text("class,name\n1,wall\n2,cavity\n")
    with pytest.raises(UserError, match=told):
        evaluate(folder, model)


def test_baselines_know_one_class_and_say_so(tmp_path, reader):
    folder = make_set(tmp_path / "s", [(square(1, (1, 1)), square(1, (1, 1)))], "0|1|2")
    report = evaluate_segmentation(EvaluateSegmentationConfig(folder, ("reader:1,2",)))
    assert [method.name for method in report.methods] == ["reader"]
    assert report.remarks == (
        "Baselines and regions know one class, and 's' has 2 (1, 2): they are left out.",
    )
    with pytest.raises(UserError, match=r"know one class, and 's' has 2 \(1, 2\). Give --model"):
        evaluate_segmentation(EvaluateSegmentationConfig(folder))


def test_what_cannot_be_read_is_left_out_and_told(tmp_path, reader):
    pairs = [(square(1, (1, 1)), square(1, (1, 1)))] * 2
    folder = make_set(tmp_path / "s", pairs, "0|1")
    (folder / "masks" / "0.png").write_bytes(b"nothing")
    report = evaluate(folder, "reader:1")
    assert (report.cases, report.groups) == (("1.png",), ("g0",))
    assert report.failures[0][0] == "0.png"
    (folder / "images" / "1.png").unlink()
    with pytest.raises(UserError, match=r"None of 2 images can be scored\. Mask '0\.png'"):
        evaluate(folder, "reader:1")


def test_distances_may_be_left_out(tmp_path, reader):
    folder = make_set(tmp_path / "s", [(square(1, (1, 1)), square(1, (1, 2)))], "0|1")
    report = evaluate(folder, "reader:1", distances=False)
    assert not report.has_distances()
    assert json.loads(report.to_json())["methods"][0]["classes"]["foreground"]["asd_mean"] is None


def test_a_stopped_evaluation_gives_no_scores(tmp_path, reader):
    folder = make_set(tmp_path / "s", [(EMPTY, EMPTY)] * 3, "0|1")
    config = EvaluateSegmentationConfig(folder, ("reader:1",), baselines=False)
    for word, told in (("reading 1.png", "while reading"), ("reader", "after 0 of 1 methods")):
        seen = []

        def stop(word=word, seen=seen):
            return any(word in progress.message for progress in seen)

        with pytest.raises(Cancelled, match=told):
            evaluate_segmentation(config, on_progress=seen.append, should_stop=stop)


def test_the_table_tells_the_rarest_class_the_mean_and_what_is_missed(tmp_path, reader, capsys):
    large, small = square(1, (1, 1), 12), square(2, (18, 20), 3)
    pairs = [(both(large, small), both(large, small)), (large, both(large, small)), (large, large)]
    folder = make_set(tmp_path / "s", pairs, "0|1|2", ",spacing_mm", ["0.5"] * 3)
    command = ["evaluate", "segmentation", "--data", str(folder), "--model", "reader:body,spot"]
    assert main([*command, "--no-baselines", "--images"]) == 0
    text = capsys.readouterr().out
    lines = [" ".join(line.replace("│", " ").split()) for line in text.splitlines()]
    assert "Segmentation of 3 images of s" in lines
    assert "reader body 1.000 0.000 1.000 1.000 3 nothing" in lines
    assert "reader spot (rarest) 0.500 0.500 0.000 1.000 2 nothing" in lines
    assert "reader mean of classes 0.750 nothing" in lines
    assert "reader spot (rarest) 10.000 10.000 10.000 10.000 2 1 0" in lines
    assert "reader mean of classes 5.000 5.000" in lines
    assert "Distances of surfaces in mm" in lines
    assert any(line.startswith("Missed: nothing is found of a class") for line in lines)
    assert "Of each class, images without it, in which none is found, are left out." in lines
    assert "2.png g1 1.000 -" in lines
    assert "ASD of each image in mm" in lines
