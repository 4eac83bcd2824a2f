"""`medssl locate` and `medssl evaluate landmarks` on planted images: files, errors, going on."""

from __future__ import annotations

import csv
import json
import math
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter, shift

from landmark_model import PixelModel
from napari_medssl.backend import evaluate_landmarks, landmark_models, match_landmarks
from napari_medssl.backend import locate as work
from napari_medssl.backend.landmark_baselines import same_place
from napari_medssl.backend.landmark_features import FeatureStore
from napari_medssl.backend.locate_journal import LocateJournal
from napari_medssl.backend.model_cache import ModelCache
from napari_medssl.cli import main
from napari_medssl.io.landmarks import read_landmarks

SIDE = 160
POINTS = {"nose": (60.0, 70.0), "chin": (101.0, 112.0)}
SHIFTS = {"a.png": (0, 0), "b.png": (7, -5), "c.png": (-6, 4)}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A folder of three images that differ by a shift (x, y), with landmarks.csv."""
    folder = tmp_path_factory.mktemp("planted")
    rng = np.random.default_rng(3)
    image = sum(gaussian_filter(rng.normal(size=(SIDE, SIDE)), grain) * grain for grain in (4, 8))
    image = (image - image.min()) / np.ptp(image) * 255
    (folder / "images").mkdir()
    rows = []
    for name, (right, down) in SHIFTS.items():
        pixels = shift(image, (down, right), mode="reflect")
        Image.fromarray(np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)).save(
            folder / "images" / name
        )
        rows += [(name, label, x + right, y + down) for label, (x, y) in POINTS.items()]
    with (folder / "landmarks.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "label", "x", "y"), *rows])
    (folder / "pts.csv").write_text(
        "label,x,y\n" + "".join(f"{label},{x},{y}\n" for label, (x, y) in POINTS.items())
    )
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(match_landmarks, "_STORES", ModelCache(capacity=2))


@pytest.fixture
def quick(monkeypatch):
    """Models without a network."""
    real = landmark_models.load_landmark_model

    def load(name, device):
        known = name in (landmark_models.IMAGENET, landmark_models.UNTRAINED)
        return PixelModel(name=name) if known else real(name, device)

    monkeypatch.setattr(landmark_models, "load_landmark_model", load)


def locate(planted, *more, out, template="a.png", landmarks="pts.csv"):
    chosen = planted / "images" / template
    files = ["--template", str(chosen), "--landmarks", str(planted / landmarks), "--out", str(out)]
    return main(["locate", *files, "--device", "cpu", *map(str, more)])


def test_landmarks_are_written_as_csv(planted, tmp_path, capsys):
    assert locate(planted, planted / "images", out=tmp_path / "found.csv") == 0
    with (tmp_path / "found.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "label", "x", "y", "score"]
    assert [(row["image"], row["label"]) for row in rows] == [
        (name, label) for name in SHIFTS for label in POINTS
    ]
    for row in rows:
        right, down = SHIFTS[row["image"]]
        due = POINTS[row["label"]][0] + right, POINTS[row["label"]][1] + down
        assert math.dist((float(row["x"]), float(row["y"])), due) < 3
    assert (float(rows[0]["x"]), float(rows[0]["y"])) == POINTS["nose"]  # the template's own
    assert "imagenet-landmarks" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "found.csv"]


def test_landmarks_are_written_for_slicer_and_as_coco(quick, planted, tmp_path):
    image = planted / "images" / "b.png"
    assert locate(planted, image, out=tmp_path / "b.mrk.json") == 0
    (one,) = read_landmarks(tmp_path / "b.mrk.json").images
    assert [mark.label for mark in one.landmarks] == list(POINTS)
    assert locate(planted, image, out=tmp_path / "b.json") == 0
    coco = json.loads((tmp_path / "b.json").read_text())
    assert coco["images"][0]["file_name"] == "b.png"
    assert (coco["images"][0]["width"], coco["images"][0]["height"]) == (SIDE, SIDE)
    assert coco["categories"][0]["keypoints"] == list(POINTS)


def test_several_templates_and_chosen_labels(quick, planted, tmp_path):
    (tmp_path / "c.csv").write_text("image,label,x,y\nc.png,nose,54,74\nother.png,nose,1,1\n")
    more = ("--template", planted / "images" / "c.png", "--landmarks", tmp_path / "c.csv")
    image = planted / "images" / "b.png"
    assert locate(planted, image, *more, "--label", "nose", out=tmp_path / "f.csv") == 0
    ((mark,),) = (image.landmarks for image in read_landmarks(tmp_path / "f.csv").images)
    assert math.dist(mark.place, (67, 65)) < 3


def test_what_is_absent_has_an_empty_place(quick, planted, tmp_path, monkeypatch):
    from napari_medssl.backend import landmark_matcher

    monkeypatch.setattr(landmark_matcher.LandmarkMatcher, "_is_present", lambda self, *about: False)
    assert locate(planted, planted / "images" / "b.png", out=tmp_path / "f.csv") == 0
    lines = (tmp_path / "f.csv").read_text().splitlines()
    assert lines[1].startswith("b.png,nose,,,0.")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nan.tif", "not a number"),
        ("volume.tif", "4 pages, a volume"),
        ("tiny.png", "window of matching"),
        ("text.png", "not a picture"),
    ],
)
def test_a_bad_image_fails_alone(quick, planted, tmp_path, capsys, name, told):
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(planted / "images" / "b.png", folder)
    if name == "nan.tif":
        pixels = np.full((64, 64), 0.5, np.float32)
        pixels[3, 4] = np.nan
        tifffile.imwrite(folder / name, pixels)
    elif name == "volume.tif":
        tifffile.imwrite(folder / name, np.zeros((4, 64, 64), np.uint8), photometric="minisblack")
    elif name == "tiny.png":
        Image.new("L", (20, 20)).save(folder / name)
    else:
        (folder / name).write_text("no picture")
    assert locate(planted, folder, out=tmp_path / "f.csv") == 1
    errors = capsys.readouterr().err
    assert told in errors
    assert name in errors
    assert {image.image for image in read_landmarks(tmp_path / "f.csv").images} == {"b.png"}


def test_wrong_use_is_one_line_and_writes_nothing(quick, planted, tmp_path, capsys):
    image, out = planted / "images" / "b.png", tmp_path / "f.csv"
    (tmp_path / "none.csv").write_text("label,x,y\n")
    (tmp_path / "absent.csv").write_text("label,x,y\nnose,,\n")
    (tmp_path / "other.csv").write_text("image,label,x,y\nz.png,nose,3,4\n")
    (tmp_path / "outside.csv").write_text("label,x,y\nnose,900,4\n")
    cases = [
        ({"landmarks": tmp_path / "none.csv"}, (), "no landmarks"),
        ({"landmarks": tmp_path / "absent.csv"}, (), "has no landmarks"),
        ({"landmarks": tmp_path / "other.csv"}, (), "its images are 'z.png'"),
        ({"landmarks": tmp_path / "outside.csv"}, (), "outside its template"),
        ({}, ("--label", "ear"), "'ear'. Choose from nose, chin"),
        ({}, ("--template", image), "one --landmarks for each --template"),
        ({}, ("--model", "none"), "No model of landmarks is named 'none'"),
        ({"template": "missing.png"}, (), "missing.png"),
    ]
    for given, more, told in cases:
        assert locate(planted, image, *more, out=out, **given) == 2, told
        errors = capsys.readouterr().err
        assert told in errors
        assert errors.count("\n") == 1
    assert locate(planted, planted / "images", out=tmp_path / "f.mrk.json") == 2
    assert locate(planted, tmp_path / "nothing", out=out) == 2
    assert not out.exists()


def test_a_stopped_run_goes_on_where_it_was(quick, planted, tmp_path, monkeypatch):
    config = work.LocateConfig(device="cpu")
    given = [(planted / "images" / "a.png", planted / "pts.csv")], [planted / "images"], config
    journal = tmp_path / "journal"
    asked = iter([False, False, True])
    with pytest.raises(work.Cancelled, match=r"after 2 of 3 images.*to go on"):
        work.locate(*given, journal=journal, should_stop=lambda: next(asked))
    with journal.open("ab") as file:
        file.write(b"12 half a li")  # as a kill leaves it
    whole = work.locate(*given)
    looked = []
    real = FeatureStore.features
    monkeypatch.setattr(FeatureStore, "features", lambda *a, **k: looked.append(1) or real(*a, **k))
    report = work.locate(*given, journal=journal)
    assert report.resumed == 2
    assert len(looked) == 2  # the template, and the image that was left
    assert report.images == whole.images
    with LocateJournal(journal, "another run") as other:
        assert not other._finished


def test_landmarks_are_scored_with_baselines_beside(quick, planted, tmp_path, capsys):
    args = ["evaluate", "landmarks", "--data", str(planted), "--device", "cpu"]
    report = tmp_path / "r.json"
    assert main([*args, "--templates", "2", "--mm-per-px", "0.5", "--out", str(report)]) == 0
    told = json.loads(report.read_text())
    methods = {method["name"]: method["overall"] for method in told["methods"]}
    assert list(methods) == [
        "imagenet-landmarks",
        "untrained-landmarks",
        "same place",
        "raw pixels (NCC)",
        "registration (optical flow)",
    ]
    assert told["templates"] == ["a.png", "c.png"]
    own = methods["imagenet-landmarks"]
    assert (own["count"], own["missed"]) == (4, 0)
    assert own["mre_px"] < 4
    assert own["mre_mm"] == pytest.approx(own["mre_px"] / 2, abs=1e-5)
    by_a, by_c = math.hypot(7, 5) + math.hypot(6, 4), math.hypot(6, 4) + math.hypot(13, 9)
    due = (by_a / 2 + by_c / 2) / 2
    assert methods["same place"]["mre_px"] == pytest.approx(due, abs=1e-3)
    assert "One-shot landmarks" in capsys.readouterr().out


def test_each_image_is_scored_in_its_own_millimetres(quick, planted, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evaluate_landmarks, "BASELINES", {"same place": same_place})
    sides = {"b.png": 0.5, "c.png": 0.2}
    (tmp_path / "images").symlink_to(planted / "images")
    with (planted / "landmarks.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    with (tmp_path / "landmarks.csv").open("w", newline="") as file:
        rows = [[*row, sides.get(row[0], "")] for row in rows]
        csv.writer(file).writerows([[*header, "mm_per_px"], *rows])
    report = tmp_path / "r.json"
    args = ["--data", str(tmp_path), "--device", "cpu", "--templates", "1", "--out", str(report)]
    assert main(["evaluate", "landmarks", *args]) == 0
    told = json.loads(report.read_text())
    place = {m["name"]: m["overall"] for m in told["methods"]}["same place"]
    due = (math.hypot(7, 5) * 0.5 + math.hypot(6, 4) * 0.2) / 2
    assert (told["scaled"], place["mre_mm"]) == (2, pytest.approx(due, abs=1e-3))
    assert place["sdr"]["2 mm"] == 0.5  # 4.3 mm and 1.4 mm
    assert "In mm: over 2 images of known scale." in capsys.readouterr().out


def test_evaluation_says_what_is_missing(quick, planted, tmp_path, capsys):
    assert main(["evaluate", "landmarks", "--data", str(tmp_path)]) == 2
    assert "has no landmarks.csv" in capsys.readouterr().err
    (tmp_path / "landmarks.csv").write_text("image,label,x,y\nq.png,nose,1,2\n")
    assert main(["evaluate", "landmarks", "--data", str(tmp_path)]) == 2
    assert "due are at least 2: Image 'q.png'" in capsys.readouterr().err
