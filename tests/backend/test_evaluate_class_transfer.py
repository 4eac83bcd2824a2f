"""Starts compared on pictures with classes: what is split, what is learned, what a kill leaves."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from autoencoder_world import make_folder, one_thread
from safetensors.torch import save_file

from napari_medssl._errors import UserError
from napari_medssl.backend import evaluate_class_transfer as work
from napari_medssl.backend.class_transfer_config import (
    EvaluateClassTransferConfig,
    check_class_transfer,
)
from napari_medssl.backend.class_transfer_data import labelled_parts, read_class_set
from napari_medssl.backend.class_transfer_report import (
    ClassSetReport,
    ClassTransferReport,
    ClassTransferRun,
)
from napari_medssl.backend.class_transfer_run import (
    Start,
    fine_tune,
    measure_statistics,
    probe,
    scores_of,
)
from napari_medssl.backend.contrastive_config import ARCHITECTURE
from napari_medssl.backend.evaluate_class_transfer import evaluate_class_transfer
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.models import ModelCard, Recipe, write_model
from napari_medssl.backend.transfer_run import Schedule
from napari_medssl.backend.trunks import load_imagenet_trunk, random_trunk
from napari_medssl.cli import main

__all__ = ["one_thread"]  # a fixture of this module

SMALL = {"fractions": "1", "seeds": 1, "steps": 1, "batch": 2, "size": 32, "device": "cpu"}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """Discs and stripes, six of each."""
    return make_folder(tmp_path_factory.mktemp("sets") / "kinds", 12)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An encoder as `medssl train contrastive` writes it, of random weights."""
    out = tmp_path_factory.mktemp("model") / "mined.safetensors"
    config = {"dim": 1280, "pixels": 32}
    card = ModelCard("mined", "encoder", ARCHITECTURE, config, Recipe(), (), {}, "BSD", "1")
    write_model(out, random_trunk(3).state_dict(), card)
    return out


def config_of(data, out, **changes):
    return EvaluateClassTransferConfig(data=(data,), out=out, **(SMALL | changes))


@pytest.fixture(scope="module")
def done(kinds, model, tmp_path_factory):
    """A finished comparison, its config, and the progress that it told."""
    out = tmp_path_factory.mktemp("out") / "table.json"
    config, seen = config_of(kinds, out, model=(str(model),)), []
    return evaluate_class_transfer(config, on_progress=seen.append), config, seen


def test_all_runs_are_made_and_written(done):
    report, config, seen = done
    (one,) = report.sets
    made = {(run.start, run.how, run.percent, run.seed) for run in one.runs}
    starts = ("random", "ImageNet", "mined")
    due = {(s, h, 1, 1) for s in starts for h in ("linear probe", "fine-tuning")}
    assert made == due
    assert len(one.runs) == 6
    assert {run.labelled for run in one.runs} == {2}  # one of each class
    assert (one.train, one.test, one.majority) == ((4, 4), (2, 2), 0.5)
    assert max(p.done for p in seen if p.values) == 6
    written = json.loads(config.out.read_text())
    assert written["settings"]["model"] == ["mined=mined.safetensors"]
    assert str(config.out.parent) not in config.out.read_text()
    assert not list(config.out.parent.glob("*.svg"))
    table = config.out.with_suffix(".md").read_text()
    assert table.startswith("| set | % | labelled | how | random | ImageNet | mined |")
    assert "\n| kinds | 1 | 2 | linear probe | " in table


def test_finished_runs_are_not_made_again(done, monkeypatch):
    report, config, _ = done
    monkeypatch.setattr(work, "fine_tune", lambda *a, **k: pytest.fail("a run was made"))
    monkeypatch.setattr(work, "probe", lambda *a, **k: pytest.fail("a run was made"))
    assert evaluate_class_transfer(config) == report


def test_probes_alone_are_those_of_the_whole(done, kinds, model, tmp_path):
    report, config, _ = done
    mine = config_of(kinds, tmp_path / "t.json", model=(str(model),), fine_tuning=False)
    mine.journal.write_bytes(config.journal.read_bytes())
    again = evaluate_class_transfer(mine)
    assert again.sets[0].runs == tuple(r for r in report.sets[0].runs if r.how == "linear probe")
    assert "probes alone" in again.footnote()


def test_a_stopped_comparison_goes_on_to_the_same_scores(done, kinds, model, tmp_path):
    """Stopped in the first fine-tuning, and its journal torn as by a kill."""
    report, _, _ = done
    mine, seen = config_of(kinds, tmp_path / "t.json", model=(str(model),)), []
    with pytest.raises(Cancelled, match=r"after 4 of 6 runs; they are kept in .*same command"):
        evaluate_class_transfer(
            mine, on_progress=seen.append, should_stop=lambda: any(p.values for p in seen)
        )
    assert not mine.out.exists()
    with mine.journal.open("ab") as file:
        file.write(b"17 0000")
    again = evaluate_class_transfer(mine)
    assert again.sets == report.sets


def test_scores_are_their_definitions(kinds):
    known = read_class_set(kinds, 32, 0.5, 1)
    truth = known.labels[known.test]
    assert np.bincount(truth).tolist() == [3, 3]
    predicted = np.zeros_like(truth)
    predicted[np.flatnonzero(truth == 1)[0]] = 1
    assert scores_of(known, predicted) == [
        pytest.approx([4 / 6, (1 + 1 / 3) / 2], abs=1e-6),
        pytest.approx([1, 1 / 3], abs=1e-6),
    ]


def test_a_probe_sees_the_labelled_pictures_alone(kinds):
    """Values that say the class: all are right. The labels of others change nothing."""
    known = read_class_set(kinds, 32, 0.5, 1)
    values = 0.1 * np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    values[:, 0] += known.labels
    part = labelled_parts(known.labels[known.train], (1,), 1)[1]
    assert (probe(values, known, part) == known.labels[known.test]).all()
    hidden = known.labels.copy()
    rest = np.setdiff1d(known.train, known.train[list(part)])
    known.labels[rest] = 0
    again = probe(values, known, part)
    assert (again == hidden[known.test]).all()


def test_fine_tuning_learns_and_all_starts_have_one_head(kinds):
    known = read_class_set(kinds, 32, 0.34, 1)
    losses: list[float] = []

    def tune(load, steps):
        return fine_tune(
            Start("s", "x", load),
            known,
            range(len(known.train)),
            1,
            Schedule(steps, 8, 32, 0.003),
            "cpu",
            on_step=lambda step, loss: losses.append(loss),
            should_stop=lambda: False,
        )

    predicted = tune(lambda seed: load_imagenet_trunk(), 8)
    assert losses[-1] < 0.5 * losses[0]
    assert predicted.shape == known.test.shape
    heads = []
    for load in (random_trunk, lambda seed: load_imagenet_trunk()):
        heads.append(_head(load))
    assert torch.equal(*heads)


def test_statistics_are_the_means_over_batches_and_weights_stay():
    norm = torch.nn.BatchNorm2d(2)
    norm.running_mean += 100  # of weights that are long gone
    batches = [torch.randn(4, 2, 3, 3) + shift for shift in (0, 1, 5)]
    before = norm.weight.detach().clone()
    measure_statistics(torch.nn.Sequential(norm), batches)
    due = torch.stack([b.mean(dim=(0, 2, 3)) for b in batches]).mean(dim=0)
    assert torch.allclose(norm.running_mean, due, atol=1e-5)
    assert torch.equal(norm.weight, before)


def _head(load):
    from napari_medssl.backend.class_transfer_run import _network

    return _network(Start("s", "", load), 3, 5, "cpu")[1].weight


def test_the_table_has_means_over_sets_and_seeds():
    def run(seed, accuracy):
        return ClassTransferRun("random", "linear probe", 1, 3, seed, accuracy, 0.5, (0.5, 0.5))

    sets = tuple(
        ClassSetReport(name, ("a", "b"), (2, 2), (1, 1), 0.5, tuple(map(run, (1, 2), values)))
        for name, values in (("x", (0.2, 0.4)), ("y", (0.6, 1.0)))
    )
    settings = {"fine_tuning": True, "seeds": 2, "size": 32, "steps": 1, "batch": 2}
    report = ClassTransferReport(settings, {"random": {}}, sets)
    cells = [row[-1] for row in report.rows()]
    assert cells == [
        "30.0 ± 14.1 / 50.0 ± 0.0",
        "80.0 ± 28.3 / 50.0 ± 0.0",
        "55.0 ± 21.2 / 50.0 ± 0.0",
    ]
    assert report.rows()[-1][0] == "mean of sets"
    assert "x: 4 pictures of 2 classes to train on, 2 to test on, 50.0 % of" in report.footnote()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"fractions": "0,50"}, "--fractions '0,50'; due are whole numbers from 1 to 100"),
        ({"out": Path("t.csv")}, r"must end in \.json"),
        ({"model": ("random=a.safetensors",)}, "would stand under the name of another start"),
        ({"model": ("a/m.safetensors", "b/m.safetensors")}, "Give NAME=FILE"),
        ({"model": ("=m.safetensors",)}, "Give NAME=FILE"),
        ({"data": ()}, "--data is missing"),
    ],
)
def test_what_cannot_be_compared_is_told_at_once(kinds, tmp_path, changes, text):
    values = {"data": (kinds,), "out": tmp_path / "t.json"} | SMALL | changes
    with pytest.raises(UserError, match=text):
        check_class_transfer(EvaluateClassTransferConfig(**values))


def test_models_have_names():
    given = ("mined", "a/b.safetensors", "c=d/e.safetensors", "g/h.safetensors")
    config = EvaluateClassTransferConfig((Path("d"),), Path("t.json"), given)
    assert list(config.models) == ["mined", "b", "c", "h"]
    odd = EvaluateClassTransferConfig((Path("d"),), Path("t.json"), ("/x=1/m.safetensors",))
    assert odd.models == {"m": "/x=1/m.safetensors"}


def test_a_model_of_another_kind_is_told(kinds, tmp_path):
    config = config_of(kinds, tmp_path / "t.json", model=("siamese-tissue",))
    with pytest.raises(UserError, match="due is one of `medssl train contrastive`"):
        evaluate_class_transfer(config)
    save_file({"a": torch.zeros(1)}, tmp_path / "bare.safetensors")
    config = config_of(kinds, tmp_path / "t.json", model=(str(tmp_path / "bare.safetensors"),))
    with pytest.raises(UserError, match="has no card"):
        evaluate_class_transfer(config)


def test_the_command_has_a_task(done, kinds, model, capsys):
    """The same comparison again, from its journal."""
    _, config, _ = done
    words = ["--data", str(kinds), "--out", str(config.out), "--model", f"mined={model}"]
    words += [f"--{k.replace('_', '-')}={v}" for k, v in SMALL.items()]
    assert main(["evaluate", "transfer", "--task", "classification", *words]) == 0
    came = capsys.readouterr()
    assert "Classification by what it starts from" in came.out
    assert f"Report written to {config.out}" in came.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--model", "a", "--model", "b"], "--model came 2 times; due is once, or --task"),
        (["--no-fine-tuning"], "--no-fine-tuning is for --task classification alone"),
        (["--task", "classification", "--pretrain", "steps=1"], "--pretrain is not for --task"),
        ([], r"has no pairs.csv"),
    ],
)
def test_options_of_the_other_task_are_told(kinds, tmp_path, capsys, words, text):
    line = ["evaluate", "transfer", "--data", str(kinds), "--out", str(tmp_path / "t.json")]
    assert main([*line, *words]) != 0
    assert text in capsys.readouterr().err.replace("\n", " ")
