"""Learning from corrected figures, end to end, with a small network."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend import improve as improving
from napari_medssl.backend.calibrate_score import ScoreCalibration
from napari_medssl.backend.corrections import read_corrections
from napari_medssl.backend.figures import ARCHITECTURE, Separator
from napari_medssl.backend.improve import ImproveConfig, can_resume, improve
from napari_medssl.backend.improve_check import Comparison, choose_held_out, judge
from napari_medssl.backend.improve_config import model_place
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.models import ModelCard, Recipe, load_card, read_weights, write_model
from napari_medssl.backend.tune_figures import Example, TuneConfig, Tuner, shrunk
from napari_medssl.cli import main
from napari_medssl.io.annotations import write_boxes
from napari_medssl.io.boxes import Box, ImageBoxes
from napari_medssl.methods.simcfs.network import NetworkConfig, PanelNetwork
from napari_medssl.methods.simcfs.simulator import SimulatedFigure
from napari_medssl.state.project import Project
from napari_medssl.state.queue import ReviewState

LEFT, RIGHT = Box(10, 10, 90, 110), Box(110, 10, 190, 110)


@pytest.fixture(autouse=True)
def _own_models_folder(tmp_path, monkeypatch):
    for module in ("models", "improve", "improve_config"):
        monkeypatch.setattr(
            f"napari_medssl.backend.{module}.user_models_folder", lambda: tmp_path / "models"
        )


class PlainSimulator:
    """Makes one small figure of two panels; the true simulator takes longer than all tests."""

    def figure(self, seed: int) -> SimulatedFigure:
        image = np.full((60, 100, 3), 255, np.uint8)
        image[5:55, 5:45] = image[5:55, 55:95] = seed % 200
        boxes = np.array([[5, 5, 45, 55], [55, 5, 95, 55]], np.float32)
        return SimulatedFigure(image, boxes, ("", ""))


@pytest.fixture(autouse=True)
def _plain_simulator(monkeypatch):
    monkeypatch.setattr(improving, "made_textures", dict)
    monkeypatch.setattr(improving, "make_simulator", lambda *_: PlainSimulator())


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    network = PanelNetwork(NetworkConfig(8, 1))
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    config = dataclasses.asdict(network.config)
    metrics = {"score_threshold": 0.3}
    card = ModelCard("small", "figures", ARCHITECTURE, config, Recipe(), (), metrics, "CC0", "1")
    write_model(path, network.state_dict(), card)
    return path


def draw(path: Path, shade: int = 90) -> Path:
    pixels = np.full((120, 200, 3), 255, np.uint8)
    pixels[10:110, 10:90] = pixels[10:110, 110:190] = shade
    Image.fromarray(pixels).save(path)
    return path


def make_project(folder: Path, count: int, *, accepted: int | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    paths = [draw(folder / f"fig{k}.png", 20 * k) for k in range(count)]
    with Project.create(folder / "work.medssl") as project:
        for k, key in enumerate(project.add_images([(path, None) for path in paths])):
            project.store(key, (200, 120)).add(LEFT, RIGHT)
            if accepted is None or k < accepted:
                project.set_state(key, ReviewState.DONE)
    return project.folder


def small(project: Path, model: Path, **changes) -> ImproveConfig:
    base = ImproveConfig(
        project=project, model=str(model), steps=3, batch=2, replayed=2, checked=2, checks=2,
        smallest=64, largest=96, device="cpu", checkpoint_every=2,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


def test_an_improved_model_is_registered_and_the_former_one_stays(model, tmp_path):
    project = make_project(tmp_path / "figures", 4)
    before = model.read_bytes()
    report = improve(small(project, model, out="mine"))
    assert report.model == "mine"
    assert Path(report.path) == tmp_path / "models" / "mine.safetensors"
    assert model.read_bytes() == before
    card = load_card("mine")
    assert card.recipe.config["model"] == str(model)
    assert card.recipe.config["corrected"] == 4
    assert card.metrics["score_threshold"] == 0.3
    assert card.data[-1].name == "4 corrected figures of work.medssl"
    assert not list((tmp_path / "models").glob("*.checkpoint.*"))


def test_every_figure_is_held_out_once(model, tmp_path):
    report = improve(small(make_project(tmp_path / "f", 5), model))
    names = [name for part in report.held_out for name in part]
    assert len(report.held_out) == 2
    assert sorted(names) == sorted(report.used)
    assert {figure.round for figure in report.figures} == {1, 2}
    assert report.at_hand.boxes == 10
    assert json.loads(report.to_json())["simulated"]["figures"] == 2


def test_with_few_figures_the_report_says_that_they_were_seen(model, tmp_path):
    report = improve(small(make_project(tmp_path / "f", 2), model))
    assert report.held_out == ()
    assert "that it has seen" in report.advice
    assert "at least 4 figures" in report.advice


def test_a_stopped_run_goes_on_to_the_same_model(model, tmp_path):
    project = make_project(tmp_path / "f", 4)
    whole = improve(small(project, model, out="whole"))
    seen = []

    def stop() -> bool:
        return sum(p.message.startswith("training 2") for p in seen) == 2

    config = small(project, model, out="parts")
    assert not can_resume(config)
    with pytest.raises(Cancelled):
        improve(config, on_progress=seen.append, should_stop=stop)
    assert can_resume(config)
    assert not can_resume(dataclasses.replace(config, steps=4))
    again = improve(dataclasses.replace(config, resume=True))
    first, second = (read_weights(Path(report.path))[0] for report in (whole, again))
    assert all((first[name] == second[name]).all() for name in first)
    assert whole.at_hand == again.at_hand


def test_a_checkpoint_is_not_gone_on_with_after_more_corrections(model, tmp_path):
    project = make_project(tmp_path / "f", 4, accepted=2)
    seen = []
    with pytest.raises(Cancelled):
        improve(
            small(project, model, out="m"),
            on_progress=seen.append,
            should_stop=lambda: any(p.message.startswith("training") for p in seen),
        )
    with Project.open(project) as opened:
        opened.set_state(opened.keys()[2], ReviewState.DONE)
    with pytest.raises(UserError, match="other settings of figures"):
        improve(small(project, model, out="m", resume=True))


def test_a_project_that_is_open_can_be_learnt_from(model, tmp_path):
    project = make_project(tmp_path / "f", 3, accepted=1)
    with Project.open(project) as opened:
        opened.set_state(opened.keys()[1], ReviewState.DONE)
        opened.flush()
        assert [f.ref.name for f in read_corrections(project).figures] == ["fig0.png", "fig1.png"]


def test_a_project_without_an_accepted_figure_is_refused(model, tmp_path):
    project = make_project(tmp_path / "f", 2, accepted=0)
    with pytest.raises(UserError, match="no accepted figure to learn from"):
        improve(small(project, model))


def test_figures_that_cannot_be_used_are_told(model, tmp_path):
    project = make_project(tmp_path / "f", 4)
    (tmp_path / "f" / "fig0.png").unlink()
    (tmp_path / "f" / "fig1.png").write_text("words")
    Image.new("RGB", (10, 10)).save(tmp_path / "f" / "fig2.png")
    report = improve(small(project, model, checks=0))
    assert report.used == ("fig3.png",)
    reasons = dict(report.skipped)
    assert reasons["fig0.png"] == "the image is gone"
    assert "10 x 10 px now but was 200 x 120" in reasons["fig2.png"]
    assert "fig1.png" in reasons


def test_a_coco_folder_is_learnt_from(tmp_path):
    (tmp_path / "images").mkdir()
    images = []
    for k, extra in enumerate(({"granularity": "letter"}, {}, {"state": "to do"}, {})):
        draw(tmp_path / "images" / f"{k}.png")
        boxes = () if k == 3 else (LEFT, RIGHT)
        images.append(ImageBoxes(f"images/{k}.png", 200, 120, boxes, extra))
    images.append(ImageBoxes("../outside.png", 200, 120, (LEFT,)))
    draw(tmp_path.parent / "outside.png")
    write_boxes(images, tmp_path / "annotations.json", "coco")
    given = read_corrections(tmp_path)
    assert [f.has_letters for f in given.figures] == [True, False]
    assert [name for name, _ in given.skipped] == ["images/3.png", "../outside.png"]


def test_what_is_neither_project_nor_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist: due is a project"):
        read_corrections(tmp_path / "none")
    with pytest.raises(UserError, match="is neither: due is a project"):
        read_corrections(tmp_path)


def test_names_are_free_and_no_model_is_written_over(model, tmp_path):
    folder = tmp_path / "models"
    assert model_place("", "small").name == "small-improved.safetensors"
    for name in ("small-improved", "small-improved-2"):
        write_model(folder / f"{name}.safetensors", {}, load_card(model))
    assert model_place("", "small-improved").name == "small-improved-3.safetensors"
    with pytest.raises(UserError, match="exists already"):
        model_place("small-improved", "small")
    with pytest.raises(UserError, match="exists already"):
        model_place(str(model), "small")
    with pytest.raises(UserError, match="neither a name"):
        model_place("a/b", "small")


def test_held_out_parts():
    assert choose_held_out(3, 2, 1) == ()
    assert choose_held_out(9, 0, 1) == ()
    (part,) = choose_held_out(9, 1, 1)
    assert len(part) == 2
    assert sorted(i for part in choose_held_out(9, 4, 1) for i in part) == list(range(9))


@pytest.mark.parametrize(
    ("after", "simulated", "is_better", "words"),
    [
        (0.6, 0.9, True, "use 'new'"),
        (0.4, 0.9, False, "Worse on figures that it had not seen"),
        (0.5, 0.9, False, "No better"),
        (0.6, 0.8, False, "It forgot"),
    ],
)
def test_the_advice_follows_the_numbers(after, simulated, is_better, words):
    at_hand = Comparison("a", 4, 8, 0.5, after, 0.3, 0.3)
    rest = Comparison("b", 4, 8, 0.9, simulated, 0.8, 0.8)
    better, advice = judge("new", "old", at_hand, rest, is_fair=True)
    assert better is is_better
    assert words in advice


def tuner(corrected: list[Example], **changes) -> Tuner:
    config = TuneConfig(4, 4, 0.01, 0.5, (64,), 1, False)
    torch.manual_seed(0)
    simulated = [Example(np.zeros((40, 40, 3), np.uint8), np.array([[2, 2, 30, 30]], np.float32))]
    network = PanelNetwork(NetworkConfig(8, 1))
    return Tuner(network, dataclasses.replace(config, **changes), corrected, simulated)


def bright(count: int) -> list[Example]:
    boxes = np.array([[2, 2, 30, 30]], np.float32)
    return [Example(np.full((40, 40, 3), 255, np.uint8), boxes) for _ in range(count)]


def test_tuning_leaves_the_statistics_and_changes_the_weights():
    run = tuner(bright(1))
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    run.step()
    after = run.network.state_dict()
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if "running" in name or "num_batches" in name} <= still
    assert not any(name.endswith("conv.weight") for name in still)
    assert len(still) < len(before)


def test_at_least_half_of_a_batch_is_simulated():
    assert [tuner([], batch=b, replay=0.5).config.real for b in (2, 3, 8)] == [1, 1, 4]
    assert tuner([], batch=8, replay=0.95).config.real == 1


def test_each_corrected_figure_is_seen_before_any_is_seen_again():
    figures = bright(5)
    run = tuner(figures)
    seen = [id(run._in_rounds(figures, k)) for k in range(10)]
    assert len(set(seen[:5])) == len(set(seen[5:])) == 5


def test_dense_figures_come_larger_in_batches_of_their_own():
    figures = bright(3)
    figures.append(Example(np.full((90, 90, 3), 7, np.uint8), figures[0].boxes, dense=True))
    run = tuner(figures, batch=4, dense_size=96)
    sides = [tuple(run.batch(k)[0].shape) for k in range(8)]
    assert sides.count((2, 3, 96, 96)) == 2  # one figure of four is dense: one batch of four
    assert sides.count((4, 3, 64, 64)) == 6
    assert {tuner(figures, dense_size=0).batch(k)[0].shape[-1] for k in range(8)} == {64}


class Finder:
    """Stands for a detector: finds panels of given scores, each where a true one is."""

    def __init__(self, scores: list[float], default_score: float) -> None:
        self.scores, self.default_score = scores, default_score

    def separate(self, image: np.ndarray) -> list[Box]:
        places = [Box(20 * k, 0, 20 * k + 10, 10, score=s) for k, s in enumerate(self.scores)]
        return [box for box in places if (box.score or 0) >= self.default_score]


@pytest.mark.parametrize(
    ("scores", "former", "chosen"),
    [
        ([0.9, 0.8, 0.22], 0.4, 0.2),  # three panels are true: the third needs a lower score
        ([0.9, 0.8, 0.7], 0.4, 0.4),  # nothing to gain: the former score stays
        ([0.9, 0.8, 0.7, 0.52], 0.4, 0.55),  # the fourth is none
        ([0.9, 0.8, 0.7], 0.43, 0.43),
    ],
)
def test_the_least_score_is_the_nearest_of_the_best(scores, former, chosen):
    corners = [[20 * k, 0, 20 * k + 10, 10] for k in range(3)]
    figure = SimulatedFigure(
        np.zeros((20, 100, 3), np.uint8), np.array(corners, np.float32), ("", "", "")
    )
    finder = Finder(scores, former)
    calibration = ScoreCalibration(finder)
    calibration.look(figure)
    assert calibration.best() == chosen
    assert finder.default_score == former


def test_many_small_panels_make_a_figure_dense():
    columns, rows = np.meshgrid(np.arange(12) * 100, np.arange(4) * 100)
    corners = np.stack((columns, rows, columns + 90, rows + 90), axis=-1)
    boxes = corners.reshape(-1, 4).astype(np.float32)
    figure = np.zeros((400, 1200, 3), np.uint8)
    dense = shrunk(figure, boxes, dense_size=768)
    assert dense.dense
    assert dense.image.shape == (256, 768, 3)
    assert not shrunk(figure, boxes[:4], dense_size=768).dense
    assert shrunk(figure, boxes).image.shape == (213, 640, 3)


def test_a_large_figure_is_scaled_down_with_its_boxes():
    example = shrunk(np.zeros((640, 1280, 3), np.uint8), np.array([[0, 0, 640, 640]], np.float32))
    assert example.image.shape == (320, 640, 3)
    assert example.boxes.tolist() == [[0, 0, 320, 320]]


def test_a_separator_of_a_network_finds_what_the_loaded_one_finds(model):
    from napari_medssl.backend.figures import SeparateConfig

    loaded = Separator(SeparateConfig(model=str(model), device="cpu"))
    image = np.arange(200 * 120 * 3, dtype=np.uint32).astype(np.uint8).reshape(120, 200, 3)
    assert Separator.of(loaded.network, 0.3, "cpu").separate(image) == loaded.separate(image)


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_improve_verb_writes_a_model_that_the_project_uses(model, tmp_path, capsys):
    project = make_project(tmp_path / "f", 4)
    out, pool = tmp_path / "new.safetensors", tmp_path / "pool"
    pool.mkdir()
    draw(pool / "single.png")
    code = run(
        "improve", "figures", "--project", project, "--model", model, "--out", out, "--steps", 1,
        "--batch", 2, "--replayed", 1, "--checked", 1, "--checks", 1, "--smallest", 64,
        "--largest", 64, "--device", "cpu", "--report", tmp_path / "report.json",
        "--pool", pool,
    )  # fmt: skip
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert "Held out in check 1:" in printed.out
    assert len(json.loads((tmp_path / "report.json").read_text())["used"]) == 4
    assert run("improve", "use", "--project", project, "--model", out) == 0
    with Project.open(project) as opened:
        assert opened.model == str(out)
    assert run("improve", "revert", "--project", project) == 0
    assert "uses the shipped model again" in capsys.readouterr().out
    assert run("improve", "revert", "--project", project) == 2
    assert "none to go back to" in capsys.readouterr().err


def test_improve_verb_refuses_in_one_line(model, tmp_path, capsys):
    project = make_project(tmp_path / "f", 1, accepted=0)
    for words, expected in (
        (("--project", project), "no accepted figure"),
        (("--project", project, "--model", "nonesuch"), "No model is named 'nonesuch'"),
        (("--project", tmp_path / "none"), "does not exist: due is a project"),
        (("--project", tmp_path, "--use"), "--use is for projects"),
        (("--project", project, "--replay", 0.2), "'0.2' is out of range: due is 0.5 to 0.95"),
    ):
        assert run("improve", "figures", *words) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert expected in line
    assert run("improve", "use", "--project", project, "--model", "nonesuch") == 2


def test_few_figures_are_not_seen_too_often(tmp_path):
    config = ImproveConfig(project=tmp_path, steps=100, batch=8, replay=0.5, repeats=20)
    assert [config.steps_for(count) for count in (1, 5, 10, 20, 50)] == [5, 25, 50, 100, 100]
