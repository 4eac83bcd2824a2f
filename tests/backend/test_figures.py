"""Separating figures and training the detector, end to end, with a small network."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend import figure_pool
from napari_medssl.backend import train_figures as train_module
from napari_medssl.backend.figure_pool import (
    SimulateConfig,
    load_pool,
    pool_sources,
    simulate_figures,
)
from napari_medssl.backend.figures import (
    SeparateConfig,
    Separator,
    in_reading_order,
    letterbox,
)
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.models import DataSource, load_card, read_weights
from napari_medssl.backend.separate_files import separate_files
from napari_medssl.backend.train_figures import TrainFiguresConfig, train_figures
from napari_medssl.cli import main
from napari_medssl.io.annotations import read_boxes
from napari_medssl.io.boxes import Box
from napari_medssl.methods.simcfs.resolve import Proposals


@pytest.fixture(scope="module", autouse=True)
def _textures_made_once():
    """They are the same each time, and to make them takes longer than a training here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure_pool, "made_textures", cache(figure_pool.made_textures))
        yield


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    rng = np.random.default_rng(0)
    for name in ("red", "green"):
        (folder / name).mkdir()
        for k in range(2):
            pixels = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{k}.png")
    return folder


def small(pool: Path, out: Path, **changes) -> TrainFiguresConfig:
    base = TrainFiguresConfig(
        pool=pool, out=out, steps=4, batch=2, width=8, workers=0, device="cpu", checkpoint_every=2,
        smallest=64, largest=96,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


@pytest.fixture(scope="module")
def model(pool, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("model") / "small.safetensors"
    train_figures(small(pool, out))
    return out


@pytest.fixture
def figure(tmp_path) -> Path:
    pixels = np.full((120, 200, 3), 255, np.uint8)
    pixels[10:110, 10:90] = 90
    pixels[10:110, 110:190] = 160
    path = tmp_path / "figure.png"
    Image.fromarray(pixels).save(path)
    return path


def test_training_writes_a_model_and_drops_its_checkpoint(model):
    card = load_card(model)
    assert card.task == "figures"
    assert card.recipe.steps == 4
    assert card.config["width"] == 8
    assert [p.name for p in sorted(model.parent.iterdir())] == ["small.json", "small.safetensors"]


def test_a_resumed_run_gives_the_numbers_of_an_unbroken_one(pool, model, tmp_path):
    out = tmp_path / "small.safetensors"
    done = []

    def stop() -> bool:
        return len(done) == 2

    with pytest.raises(Cancelled):
        train_figures(small(pool, out), on_progress=done.append, should_stop=stop)
    assert not out.exists()
    train_figures(small(pool, out, resume=True))
    resumed, unbroken = read_weights(out)[0], read_weights(model)[0]
    assert all((resumed[name] == unbroken[name]).all() for name in unbroken)


@pytest.mark.parametrize("is_told", [True, False])
def test_simulating_processes_that_go_first_are_no_fault(pool, tmp_path, monkeypatch, is_told):
    told = []

    def go(*_):
        told.append(is_told)
        raise ConnectionResetError(104, "Connection reset by peer")
        yield

    monkeypatch.setattr(train_module._Run, "batches", go)
    monkeypatch.setattr(train_module, "_WORD_COMES_S", 0.1)
    with pytest.raises(Cancelled if is_told else ConnectionResetError):
        train_figures(small(pool, tmp_path / "small.safetensors"), should_stop=lambda: any(told))


def test_resuming_with_other_settings_is_refused(pool, tmp_path):
    out = tmp_path / "small.safetensors"
    done = []
    with pytest.raises(Cancelled, match=r"Stopped after 1 of .* --resume goes on from it"):
        train_figures(small(pool, out), on_progress=done.append, should_stop=lambda: len(done) > 1)
    with pytest.raises(UserError, match="other settings of batch, side_loss"):
        train_figures(small(pool, out, resume=True, batch=3, side_loss="off"))


def test_resuming_without_a_checkpoint_is_refused(pool, tmp_path):
    with pytest.raises(UserError, match="no checkpoint"):
        train_figures(small(pool, tmp_path / "none.safetensors", resume=True))


def test_training_goes_on_from_a_given_model(pool, model, tmp_path):
    out = tmp_path / "more.safetensors"
    train_figures(small(pool, out, init=str(model), steps=1))
    assert load_card(out).recipe.config["init"] == model.name
    with pytest.raises(UserError, match="another shape"):
        train_figures(small(pool, out, init=str(model), width=16))


def test_separator_gives_boxes_inside_the_figure(model, figure):
    image = np.asarray(Image.open(figure))
    boxes = Separator(SeparateConfig(model=str(model), device="cpu")).separate(image, score=0.01)
    for box in boxes:
        assert 0 <= box.x0 < box.x1 <= 200
        assert 0 <= box.y0 < box.y1 <= 120
        assert box.score is not None
        assert box.score >= 0.01


def test_separator_refuses_what_is_no_rgb_image(model):
    separator = Separator(SeparateConfig(model=str(model), device="cpu"))
    with pytest.raises(ValueError, match=r"float64 \(5, 5\); due is uint8"):
        separator.separate(np.zeros((5, 5)))


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (700, 3), (40, 40)])
def test_separator_takes_any_shape(model, shape):
    separator = Separator(SeparateConfig(model=str(model), device="cpu"))
    for box in separator.separate(np.zeros((*shape, 3), np.uint8), score=0.0):
        assert 0 <= box.x0 < box.x1 <= shape[1]
        assert 0 <= box.y0 < box.y1 <= shape[0]


def test_a_bad_file_is_reported_and_the_rest_goes_on(model, figure, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    report = separate_files([tmp_path], SeparateConfig(model=str(model), device="cpu"))
    assert [Path(image.file_name).name for image in report.results] == ["figure.png"]
    assert [Path(name).name for name, _ in report.failures] == ["broken.png"]


def test_separation_stops_between_figures_and_gives_what_is_finished(model, figure, tmp_path):
    shutil.copy(figure, tmp_path / "second.png")
    asked = iter([False, True])
    report = separate_files(
        [figure, tmp_path / "second.png"],
        SeparateConfig(model=str(model), device="cpu"),
        should_stop=lambda: next(asked),
    )
    assert [image.file_name for image in report.results] == ["figure.png"]
    assert report.left == 1


def test_letterbox_fills_to_multiples_of_32():
    square = letterbox(np.zeros((50, 100, 3), np.uint8), 1.0)
    assert square.shape == (64, 128, 3)
    assert (square[:50, :100] == 0).all()
    assert (square[50:] == 114).all()


def test_reading_order_goes_by_rows():
    a, b, c = Box(0, 0, 50, 50), Box(60, 4, 110, 54), Box(0, 60, 110, 90)
    assert in_reading_order([c, b, a]) == [a, b, c]


def test_simulated_figures_come_back_from_their_file(pool, tmp_path):
    out = tmp_path / "simulated"
    assert simulate_figures(pool, out, SimulateConfig(count=3, seed=4)) == 3
    images = read_boxes(out / "annotations.json").images
    assert len(images) == 3
    for image in images:
        with Image.open(out / image.file_name) as picture:
            assert picture.size == (image.width, image.height)
        assert image.boxes
    with pytest.raises(UserError, match="is not empty"):
        simulate_figures(pool, out, SimulateConfig(count=1))


def test_an_empty_pool_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no readable image"):
        load_pool(tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        load_pool(tmp_path / "absent")


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_separate_verb_writes_boxes_and_crops(model, figure, tmp_path, capsys):
    out, crops = tmp_path / "boxes.coco.json", tmp_path / "crops"
    code = run(
        "separate", figure, "--out", out, "--model", model, "--score", 0, "--device", "cpu",
        "--crops", crops,
    )  # fmt: skip
    assert code == 0, capsys.readouterr().err
    written = json.loads(out.read_text())
    assert len(list(crops.iterdir())) == len(written["annotations"])
    assert all("score" in annotation for annotation in written["annotations"])


def test_separate_verb_tells_some_from_all_failed(model, figure, tmp_path, capsys):
    bad = tmp_path / "no picture.png"
    bad.write_text("words")
    base = ["--out", tmp_path / "b.json", "--model", model, "--device", "cpu"]
    assert run("separate", figure, bad, *base) == 1
    assert run("separate", bad, *base) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert sum("no picture.png" in line for line in lines) == 2
    assert not any("Traceback" in line for line in lines)


def test_separate_verb_names_an_unknown_model(figure, tmp_path, capsys):
    assert run("separate", figure, "--out", tmp_path / "b.json", "--model", "nonesuch") == 2
    assert "No model is named 'nonesuch'" in capsys.readouterr().err


def test_train_verb_runs_in_a_process_of_its_own(pool, tmp_path, capsys):
    out = tmp_path / "verb.safetensors"
    code = run(
        "train", "figures", "--pool", pool, "--out", out, "--steps", 1, "--batch", 1, "--width", 8,
        "--workers", 0, "--device", "cpu",
    )  # fmt: skip
    assert code == 0, capsys.readouterr().err
    assert load_card(out).recipe.steps == 1


def test_simulate_verb(pool, tmp_path, capsys):
    assert run("simulate", "figures", "--pool", pool, "--out", tmp_path / "s", "--count", 1) == 0
    assert (tmp_path / "s" / "annotations.json").is_file()
    assert run("simulate", "figures", "--pool", pool, "--out", tmp_path / "s", "--count", 0) == 2
    assert "'0' is out of range" in capsys.readouterr().err


class FixedSeparator(Separator):
    """A separator whose looks give what a test wants, by the side of the look."""

    def __init__(self, looks: dict[int, Proposals], config: SeparateConfig, score: float) -> None:
        self.config, self.default_score, self.looks = config, score, looks
        self._turn = threading.Lock()

        self.count = 0

    def _look(self, image, long_side):
        self.count += 1
        return self.looks[long_side]


def proposals(boxes, scores) -> Proposals:
    return Proposals(np.array(boxes, float).reshape(-1, 4), np.array(scores, float))


def fixed(looks, **changes) -> FixedSeparator:
    return FixedSeparator(looks, SeparateConfig(snap=False, **changes), 0.5)


FIGURE = np.arange(200 * 300 * 3, dtype=np.uint32).astype(np.uint8).reshape(200, 300, 3)


def test_a_figure_with_one_panel_is_that_panel_whole():
    separator = fixed({448: proposals([[20, 20, 280, 180]], [0.8])})
    assert separator.separate(FIGURE) == [Box(0, 0, 300, 200, score=0.8)]


def test_a_figure_without_a_sure_panel_is_one_panel_of_the_default_score():
    separator = fixed({448: proposals([[20, 20, 150, 180], [160, 20, 280, 180]], [0.4, 0.3])})
    assert separator.separate(FIGURE) == [Box(0, 0, 300, 200, score=0.5)]


def test_a_score_that_was_asked_for_is_kept_to():
    separator = fixed({448: proposals([[20, 20, 150, 180], [160, 20, 280, 180]], [0.4, 0.3])})
    assert separator.separate(FIGURE, score=0.6) == []
    assert len(separator.separate(FIGURE, score=0.2)) == 2


def test_an_empty_page_has_no_panel():
    separator = fixed({448: proposals([[20, 20, 280, 180]], [0.8])})
    assert separator.separate(np.full((200, 300, 3), 255, np.uint8)) == []


def test_many_small_panels_are_looked_at_again():
    small = [[x, y, x + 20, y + 20] for y in (0, 100) for x in range(0, 300, 30)]
    again = [[0, 0, 150, 200], [150, 0, 300, 200]]
    looks = {448: proposals(small, [0.9] * 20), 768: proposals(again, [0.9, 0.9])}
    assert len(fixed(looks).separate(FIGURE)) == 2
    assert len(fixed(looks, dense_side=0).separate(FIGURE)) == 20


def test_few_small_panels_are_looked_at_once():
    few = [[x, 0, x + 20, 20] for x in range(0, 200, 40)]
    assert len(fixed({448: proposals(few, [0.9] * 5)}).separate(FIGURE)) == 5


def test_sides_without_a_multiple_of_32_are_refused(pool, tmp_path):
    config = small(pool, tmp_path / "m.safetensors", smallest=321, largest=350)
    with pytest.raises(UserError, match="multiple of 32"):
        train_figures(config)


def test_the_card_names_the_sources_of_the_pool(pool, tmp_path):
    assert pool_sources(pool)[0].licence == "not stated"
    sources = [{"name": "hearts", "licence": "CC BY 4.0", "source": "a page"}]
    (tmp_path / "sources.json").write_text(json.dumps(sources))
    assert pool_sources(tmp_path) == (DataSource("hearts", "CC BY 4.0", "a page"),)
    (tmp_path / "sources.json").write_text('{"name": 3}')
    with pytest.raises(UserError, match="name and licence"):
        pool_sources(tmp_path)


def test_results_name_figures_below_the_folder_that_holds_all(model, figure, tmp_path):
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    shutil.copy(figure, deep / "other.png")
    report = separate_files([figure, deep], SeparateConfig(model=str(model)))
    assert [image.file_name for image in report.results] == ["figure.png", "a/b/other.png"]


def test_a_missing_file_is_named_once(model, tmp_path, capsys):
    missing = str(tmp_path / "none.png")
    code = main(["separate", missing, "--out", str(tmp_path / "o.json"), "--model", str(model)])
    assert code == 2
    assert capsys.readouterr().err.count(missing) == 1


def test_another_score_of_the_same_image_needs_no_other_look():
    separator = fixed({448: proposals([[20, 20, 150, 180], [160, 20, 280, 180]], [0.8, 0.6])})
    assert len(separator.separate(FIGURE)) == 2
    assert len(separator.separate(FIGURE, score=0.7)) == 1
    assert separator.count == 1
    separator.separate(FIGURE.copy())
    assert separator.count == 2
