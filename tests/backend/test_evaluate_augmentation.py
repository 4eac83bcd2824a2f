"""Classifiers that also learn from decoded samples: what is made, what is seen, what is told."""

import json

import numpy as np
import pytest
import torch
from autoencoder_world import make_folder, one_thread

from napari_medssl._errors import UserError
from napari_medssl.backend import evaluate_augmentation as work
from napari_medssl.backend.augmentation_config import (
    BOTH,
    NONE,
    PATHS,
    SAMPLES,
    VIEWS,
    WAYS,
    EvaluateAugmentationConfig,
)
from napari_medssl.backend.augmentation_pictures import labelled_of_each, make_pictures
from napari_medssl.backend.augmentation_report import (
    AugmentationReport,
    AugmentationRun,
    AugmentationSet,
)
from napari_medssl.backend.augmentation_run import (
    CLASSIFIERS,
    Lesson,
    Schedule,
    probed,
    trained,
)
from napari_medssl.backend.class_transfer_data import read_class_set
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.cli import main

__all__ = ["one_thread"]  # a fixture of this module

QUICK = {"labelled": "2", "seeds": 1, "samples": 4, "autoencoder_steps": 3, "steps": 2, "batch": 8}
QUICK |= {"device": "cpu"}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """Discs and stripes, twelve of each."""
    return make_folder(tmp_path_factory.mktemp("sets") / "kinds", 24)


@pytest.fixture(scope="module")
def known(kinds):
    return read_class_set(kinds, 32, 0.34, 1)


@pytest.fixture(scope="module")
def model(known, kinds):
    config = EvaluateAugmentationConfig(data=(kinds,), **(QUICK | {"autoencoder_steps": 40}))
    found, error = work.train_on(known, config, lambda: False)
    assert 0 < error < 2
    return found


@pytest.fixture(scope="module")
def lessons(model, known, kinds):
    config = EvaluateAugmentationConfig(data=(kinds,), **QUICK)
    return dict(work._lessons(model, known, config, 2, 1))


def test_labelled_pictures_are_so_many_of_each_class_and_nested():
    labels = np.array([0] * 9 + [1] * 2 + [2] * 5)
    some, more = (labelled_of_each(labels, count, 4) for count in (2, 4))
    assert np.bincount(labels[some]).tolist() == [2, 2, 2]
    assert np.bincount(labels[more]).tolist() == [4, 2, 4]
    assert set(some.tolist()) < set(more.tolist())
    assert set(labelled_of_each(labels, 2, 5).tolist()) != set(some.tolist())


def test_one_picture_of_a_class_is_itself_decoded(model, lessons):
    """No spread, and no way to go: Gaussian and path of a single embedding are that embedding."""
    images = lessons[NONE].images
    own = model.embed(images.permute(0, 2, 3, 1).numpy())[:1]
    for way in (SAMPLES, PATHS):
        made, classes = make_pictures(model, own, torch.tensor([1]), way, 3, 0)
        assert classes.tolist() == [1, 1, 1]
        decoded = torch.from_numpy(model.decode(own)).permute(0, 3, 1, 2)
        assert (made - decoded.int()).abs().max() <= 1  # batches of one and three round apart


def test_what_lies_between_two_pictures_is_of_their_arc(model, monkeypatch):
    """Every place on a path is in the plane of two embeddings of one class, and none is an end."""
    seen = []
    monkeypatch.setattr(
        model, "decode", lambda h: seen.append(h) or np.zeros((len(h), 32, 32, 1), np.uint8)
    )
    first, last, other = torch.eye(50)[:3]
    embeddings, labels = torch.stack([first, other, last]), torch.tensor([0, 1, 0])
    make_pictures(model, embeddings, labels, PATHS, 20, 0)
    of_first = seen[0][:20]
    assert torch.allclose(of_first.norm(dim=1), torch.ones(20), atol=1e-5)
    assert torch.allclose(of_first[:, 0] ** 2 + of_first[:, 1] ** 2, torch.ones(20), atol=1e-5)
    assert float(of_first[:, [0, 1]].min()) > 0.1
    assert torch.allclose(seen[0][20:], other)


def test_samples_of_a_class_have_its_mean_and_spread(model, monkeypatch):
    seen = []
    monkeypatch.setattr(
        model, "decode", lambda h: seen.append(h) or np.zeros((len(h), 32, 32, 1), np.uint8)
    )
    tight = torch.nn.functional.normalize(
        torch.eye(50)[0] + 0.02 * torch.randn(40, 50, generator=torch.Generator().manual_seed(1)),
        dim=1,
    )
    make_pictures(model, tight, torch.zeros(40, dtype=torch.int64), SAMPLES, 4000, 0)
    assert torch.allclose(seen[0].mean(dim=0), tight.mean(dim=0), atol=0.003)
    assert torch.allclose(seen[0][:, 1:].std(dim=0), tight[:, 1:].std(dim=0), rtol=0.1)


def test_all_ways_have_the_same_labelled_pictures_and_none_that_is_tested(lessons, known):
    assert tuple(lessons) == WAYS
    bare = lessons[NONE]
    for way, lesson in lessons.items():
        assert torch.equal(lesson.images, bare.images)
        assert torch.equal(lesson.labels, bare.labels)
        assert lesson.viewed == (way in (VIEWS, BOTH))
        assert len(lesson.made) == (0 if way in (NONE, VIEWS) else 8)
    assert torch.equal(lessons[BOTH].made, lessons[SAMPLES].made)
    tested = {picture.numpy().tobytes() for picture in bare.test}
    assert tested.isdisjoint(picture.numpy().tobytes() for picture in bare.unlabelled)
    assert len(tested) == len(known.test)


def test_the_autoencoder_sees_no_picture_that_is_tested(known, kinds, monkeypatch):
    from napari_medssl.backend import train_autoencoder as training

    seen = []

    def listed(config, **_):
        seen.extend(sorted(path.name for path in config.data.iterdir()))
        raise Cancelled("")

    monkeypatch.setattr(training, "train_autoencoder", listed)
    config = EvaluateAugmentationConfig(data=(kinds,), **QUICK)
    with pytest.raises(Cancelled):
        work.train_on(known, config, lambda: False)
    assert seen == [f"{row:06}.png" for row in sorted(known.train)]


def test_classifiers_learn_discs_from_stripes(model, known, kinds):
    config = EvaluateAugmentationConfig(data=(kinds,), **(QUICK | {"samples": 20}))
    truth = known.labels[known.test]
    for way, lesson in work._lessons(model, known, config, 4, 1):
        told = [probed(model, lesson, 20, 1)]
        for from_weights in (True, False):
            schedule = Schedule(30, 16, 0.003)
            told.append(
                trained(
                    model,
                    lesson,
                    schedule,
                    1,
                    from_weights=from_weights,
                    classes=2,
                    should_stop=lambda: False,
                )
            )
        assert all((one == truth).mean() >= 0.75 for one in told), way


def test_training_leaves_the_autoencoder_as_it_was(model, lessons):
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    trained(
        model,
        lessons[SAMPLES],
        Schedule(2, 8, 0.01),
        1,
        from_weights=True,
        classes=2,
        should_stop=lambda: False,
    )
    after = model.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_made_pictures_weigh_as_much_as_labelled_ones(model, lessons):
    """A thousand copies of what was made change nothing."""
    one = lessons[SAMPLES]
    many = Lesson(
        one.images,
        one.labels,
        one.made.repeat(50, 1, 1, 1),
        one.made_labels.repeat(50),
        one.viewed,
        one.unlabelled,
        one.test,
    )
    assert (probed(model, one, 4, 1) == probed(model, many, 4, 1)).all()


def test_cells_are_means_over_sets_then_seeds():
    def one(name, values):
        runs = tuple(
            AugmentationRun("linear probe", NONE, 5, seed, value, value / 2)
            for seed, value in enumerate(values, 1)
        )
        rest = tuple(
            AugmentationRun("linear probe", way, 5, seed, 0.0, 0.0)
            for way in WAYS[1:]
            for seed in (1, 2)
        )
        return AugmentationSet(name, ("a", "b"), (1, 1), (1, 1), 0.3, 2, runs + rest)

    report = AugmentationReport({}, (one("x", (0.5, 0.7)), one("y", (0.1, 0.1))))
    rows = report.rows()
    assert rows[0][:4] == ("x", "5", "linear probe", "60.0 ± 14.1 / 30.0")
    assert rows[2][:4] == ("mean of sets", "5", "linear probe", "35.0 ± 7.1 / 17.5")


def test_the_command_prints_and_writes_a_table(kinds, tmp_path, capsys):
    out = tmp_path / "report.json"
    words = [f"--{name.replace('_', '-')}={value}" for name, value in QUICK.items()]
    assert main(["evaluate", "augmentation", "--data", str(kinds), *words, "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "views + samples" in told
    assert "2 classes to train on" in told
    written = json.loads(out.read_text())
    assert len(written["sets"][0]["runs"]) == len(WAYS) * len(CLASSIFIERS)
    assert str(kinds.parent) not in out.read_text()


def test_a_stop_says_that_nothing_is_written(kinds):
    config = EvaluateAugmentationConfig(data=(kinds,), **QUICK)
    seen = []
    with pytest.raises(Cancelled, match=r"^Stopped; nothing is written\.$"):
        work.evaluate_augmentation(
            config, on_progress=seen.append, should_stop=lambda: len(seen) > 2
        )


@pytest.mark.parametrize("labelled", ["", "0", "5,x", "-3"])
def test_numbers_of_labelled_pictures_are_checked(labelled, kinds):
    config = EvaluateAugmentationConfig(data=(kinds,), labelled=labelled)
    with pytest.raises(UserError, match=r"whole numbers from 1, such as 5,10,20"):
        work.evaluate_augmentation(config)


def test_without_data_it_says_so():
    with pytest.raises(UserError, match="No --data came"):
        work.evaluate_augmentation(EvaluateAugmentationConfig())
