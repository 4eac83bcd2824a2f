"""The methods paragraph tells what was done, and its config does the same again."""

import json
from dataclasses import replace

import pytest
import torch
from shape_world import small_config, write_world

from napari_medssl import __version__
from napari_medssl._errors import UserError
from napari_medssl.backend.methods_record import MaskRecord, made_with, runs_of
from napari_medssl.backend.methods_text import methods_of, software_versions, write_methods
from napari_medssl.backend.models import DataSource, ModelCard, Recipe, write_model
from napari_medssl.backend.repeat_masks import read_plan, repeat_masks
from napari_medssl.backend.segment_files import segment_files
from napari_medssl.backend.segmenters import SegmentConfig
from napari_medssl.backend.train_shape_guided import train_shape_guided
from napari_medssl.cli import main
from napari_medssl.io.class_files import read_class_file
from napari_medssl.io.images import ImageRef, list_images

SOFTWARE = {"napari-medssl": "1.0", "Python": "3.12.1", "PyTorch": "2.10.0"}
CARD = ModelCard(
    name="cells",
    task="action",
    architecture="unet efficientnet-lite0",
    config={"classes": ["nucleus"]},
    recipe=Recipe(
        "medssl train action",
        {"labelled": 1, "unlabelled": 80, "stages": ["global", "local"], "data": "/data/cells"},
        seed=3,
        steps=600,
        hardware="cpu",
    ),
    data=(DataSource("white cells,\n 90 images", "CC0"),),
    metrics={},
    licence="BSD-3-Clause",
    version="2",
)
GOLDEN = """\
# Methods

Images were segmented with napari-medssl 1.0 (Python 3.12.1, PyTorch 2.10.0). 2 of 3 masks were \
made by the model cells (SHA-256 of the weights SUM), with readout channel, threshold 0.4. 1 mask \
of these was corrected by hand. 1 mask was painted by hand without a model. 4 further images had \
no mask.

The model cells (version 2: action, unet efficientnet-lite0) was trained by `medssl train action` \
in 600 steps with seed 3 on cpu, from 1 labelled image and 80 unlabelled images. Its data: white \
cells, 90 images (CC0). All settings of its training are in the config file.

The classes are 1 nucleus, 2 it's odd. A pixel measures 0.5 mm x 0.5 mm. The area of a class is \
the number of its pixels, times the area of a pixel where that is known. An object is a set of \
pixels of one class that touch at a side or a corner. Figures over the set are mean and standard \
deviation (of a sample) over all images that have a mask; an image without a pixel of a class \
counts as 0.

The same again:

    medssl segment IMAGES --model cells.safetensors --readout channel --threshold 0.4 --out masks
    medssl masks measure masks --images IMAGES --pixel-size 0.5 --names nucleus --names \
'it'"'"'s odd' --out areas.csv --summary classes.csv
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "cells.safetensors"
    return path, write_model(path, {"weight": torch.ones(2)}, CARD)


def records_of(path):
    made = made_with(SegmentConfig(model=str(path), threshold=0.4, device="cpu"))
    names = {1: "nucleus", 2: "it's odd"}
    return [
        MaskRecord("a.png", "cells", made, False, names, (0.5, 0.5)),
        MaskRecord("b.png", "cells", made, True, names, (0.5, 0.5)),
        MaskRecord("c.png", "", "", True, names, (0.5, 0.5)),
    ]


def test_the_paragraph_is_the_golden_one(model):
    path, card = model
    methods = methods_of(records_of(path), lacking=4, software=SOFTWARE)
    assert methods.text == GOLDEN.replace("SUM", card.sha256)


def test_the_config_holds_the_whole_recipe_and_no_folder(model, tmp_path):
    path, card = model
    methods = methods_of(records_of(path))
    place = write_methods(tmp_path / "methods.md", methods)
    assert (tmp_path / "methods.md").read_text("utf-8") == methods.text
    values = json.loads(place.read_text("utf-8"))
    assert values == json.loads(json.dumps(methods.config))
    assert place.name == "methods.json"
    assert values["runs"] == [
        {
            "model": "cells.safetensors",
            "sha256": card.sha256,
            "program": __version__,
            "settings": {"readout": "channel", "threshold": 0.4},
            "images": ["a.png", "b.png"],
        }
    ]
    assert values["models"][0]["recipe"]["config"]["stages"] == ["global", "local"]
    assert values["models"][0]["recipe"]["config"]["data"] == "cells"
    assert values["models"][0]["sha256"] == card.sha256
    assert (values["edited_by_hand"], values["painted_by_hand"]) == (["b.png"], ["c.png"])
    assert values["software"] == software_versions()
    assert str(path.parent) not in place.read_text("utf-8") + methods.text


def test_a_model_that_was_trained_anew_is_not_told_by_the_new_card(tmp_path):
    path = tmp_path / "cells.safetensors"
    write_model(path, {"weight": torch.ones(2)}, CARD)
    records = records_of(path)
    before = runs_of(records)[0].sha256
    write_model(path, {"weight": torch.zeros(2)}, CARD)
    methods = methods_of(records, software=SOFTWARE)
    assert "The card of the model cells is not at hand" in methods.text
    assert before in methods.text
    assert methods.config["models"] == []
    path.unlink()
    assert "is not at hand" in methods_of(records, software=SOFTWARE).text


def test_a_file_without_its_card_beside_it_has_the_sum_of_the_file(tmp_path):
    path = tmp_path / "cells.safetensors"
    card = write_model(path, {"weight": torch.ones(2)}, CARD)
    path.with_suffix(".json").unlink()
    methods = methods_of(records_of(path), software=SOFTWARE)
    assert methods.config["models"][0]["sha256"] == card.sha256
    assert "was trained by `medssl train action`" in methods.text


def test_what_is_not_known_is_said(tmp_path):
    old = MaskRecord("a.png", "gone-model", "", False)
    text = methods_of([old], software=SOFTWARE).text
    assert "gone-model (weights not recorded), with settings that were not recorded." in text
    assert "The size of a pixel is not known, so areas are in pixels." in text
    assert "No mask was corrected by hand." in text
    damaged = replace(old, made_with="{")
    assert methods_of([damaged], software=SOFTWARE).text == text
    with pytest.raises(UserError, match="No image has a mask yet"):
        methods_of([])


def test_a_model_from_painted_masks_counts_its_images_and_one_without_counts_none(tmp_path):
    """Its config has folders where others have numbers: the counts are those of the card."""
    path = tmp_path / "painted.safetensors"
    recipe = replace(CARD.recipe, config={"labelled": "painted", "unlabelled": None})
    metrics = {"labelled_images": 1, "unlabelled_images": 13, "left_out": 0}
    write_model(path, {"weight": torch.ones(2)}, replace(CARD, recipe=recipe, metrics=metrics))
    text = methods_of(records_of(path), software=SOFTWARE).text
    assert ", from 1 labelled image and 13 unlabelled images." in text
    write_model(path, {"weight": torch.ones(2)}, replace(CARD, recipe=recipe, metrics={}))
    text = methods_of(records_of(path), software=SOFTWARE).text
    assert ", from " not in text.split("was trained")[1].split(". ")[0]


def test_a_model_that_learned_from_masks_alone_is_told_as_what_it_is(tmp_path):
    """It is given other images for the pictures of its progress, and has no threshold."""
    path = tmp_path / "quick.safetensors"
    recipe = replace(CARD.recipe, config={"stages": "supervised", "unlabelled_images": 9})
    card = replace(CARD, task="segmentation", recipe=recipe, metrics={"labelled_images": 1})
    write_model(path, {"weight": torch.ones(2)}, card)
    records = records_of(path)
    text = methods_of(records, software=SOFTWARE).text
    assert ", from 1 labelled image. Its data" in text
    assert "), which takes the likeliest class of each pixel. 1 mask" in text
    assert "threshold" not in text
    path.unlink()
    text = methods_of(records, software=SOFTWARE).text
    assert "is not at hand" in text
    assert "), which takes the likeliest class of each pixel. 1 mask" in text
    assert "threshold" not in text


def test_data_that_a_model_has_seen_twice_is_told_once(tmp_path):
    """It was trained from the model that it replaced."""
    path = tmp_path / "again.safetensors"
    write_model(path, {"weight": torch.ones(2)}, replace(CARD, data=CARD.data * 2))
    assert methods_of(records_of(path), software=SOFTWARE).text.count("(CC0)") == 1


def test_two_settings_are_two_runs(model):
    path, _ = model
    first, *_ = records_of(path)
    other = replace(
        first, image="z.png", made_with=made_with(SegmentConfig(model=str(path), threshold=0.9))
    )
    methods = methods_of([first, other], software=SOFTWARE)
    assert [run["settings"]["threshold"] for run in methods.config["runs"]] == [0.4, 0.9]
    assert methods.text.count("was trained by") == 1
    assert [line.split()[-1] for line in methods.config["commands"][:2]] == ["masks1", "masks2"]


@pytest.fixture(scope="module")
def segmented(tmp_path_factory):
    """A folder of eyes, a model of one step, its masks, and the config of their methods."""
    folder = tmp_path_factory.mktemp("world")
    eyes, shapes, _ = write_world(folder)
    out = folder / "vessels.safetensors"
    train_shape_guided(small_config(eyes, shapes, out, steps=1))
    config = SegmentConfig(model=str(out), threshold=0.3, device="cpu")
    segment_files([ImageRef(eyes / "1.png")], folder / "masks", config)
    record = MaskRecord("1.png", "vessels", made_with(config), True, {1: "vessel"})
    place = write_methods(folder / "methods.md", methods_of([record]))
    return eyes, out, folder / "masks" / "1.png", place


def test_the_config_makes_the_same_masks_again(segmented, tmp_path, capsys):
    eyes, model, mask, config = segmented
    words = ["masks", "repeat", str(config), str(eyes), "--out", str(tmp_path / "again")]
    assert main([*words, "--model", str(model), "--device", "cpu"]) == 0
    said = capsys.readouterr()
    assert "1 mask written to" in said.out
    assert "1 mask had been corrected or painted by hand" in said.err
    again = read_class_file(tmp_path / "again" / "1.png")
    assert (again == read_class_file(mask)).all()


def test_another_model_is_refused_and_a_missing_picture_is_named(segmented, tmp_path):
    eyes, model, _, config = segmented
    with pytest.raises(UserError, match=r"has the SHA-256 .*; due is .*--model FILE"):
        read_plan(config, [], model="retina-vessels")
    plan = read_plan(config, list_images([eyes / "2.png"]), model=str(model), device="cpu")
    assert plan.missing == ("1.png",)
    assert repeat_masks(plan, tmp_path)[0].written == ()


def test_another_file_is_no_config(tmp_path):
    for text in ("{", "[]", '{"format": "x"}', '{"format": "napari-medssl methods"}'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(UserError, match=r"as the config file of a methods paragraph"):
            read_plan(tmp_path / "x.json", [])
    (tmp_path / "x.json").write_text('{"format": "napari-medssl methods", "version": 99}')
    with pytest.raises(UserError, match=r"has version 99, this program reads up to 1"):
        read_plan(tmp_path / "x.json", [])
