"""Training from a few masks: what is learnt, kept, resumed, told."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from action_world import disks, save, small_config, write_labelled, write_unlabelled
from safetensors.numpy import load_file

from napari_medssl._errors import UserError
from napari_medssl.backend import action_timing
from napari_medssl.backend.action_config import check_trainable, compared
from napari_medssl.backend.action_data import prepare, short_side_for
from napari_medssl.backend.action_run import ActionRun, Schedule
from napari_medssl.backend.action_segmenter import load_action_segmenter
from napari_medssl.backend.action_start import load_network, start_network
from napari_medssl.backend.checkpoints import load_checkpoint
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.models import load_card
from napari_medssl.backend.segmentation_scores import score_case
from napari_medssl.backend.segmenters import SegmentConfig, load_segmenter
from napari_medssl.backend.train_action import train_action
from napari_medssl.backend.train_steps import checkpoint_of
from napari_medssl.backend.transfer_data import LabelledImage
from napari_medssl.methods.action.stages import STAGES


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for each other crawl on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two labelled images, and six without masks."""
    folder = tmp_path_factory.mktemp("world")
    return write_labelled(folder / "known", (0, 1)), write_unlabelled(folder / "more", range(2, 8))


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    """A model of ACTION, its report and the progress of its training."""
    out = tmp_path_factory.mktemp("models") / "disks.safetensors"
    seen = []
    config = small_config(
        world[0],
        out,
        unlabelled=world[1],
        stages="action",
        start="imagenet",
        steps=24,
        batch=3,
        checkpoint_every=24,
    )
    return out, train_action(config, on_progress=seen.append), seen


def test_disks_on_noise_are_learnt_from_two_masks(trained):
    """On images that were not seen: DSC above .8 of both classes."""
    segmenter = load_action_segmenter(SegmentConfig(str(trained[0]), device="cpu"))
    rows = []
    for seed in range(100, 106):
        pixels, classes = disks(seed)
        rows.append([score.dsc for score in score_case(segmenter.segment(pixels), classes, 2)])
    assert (np.mean(rows, axis=0) > 0.8).all()


def test_each_stage_tells_its_losses(trained):
    told = [(p.message, p.values) for p in trained[2] if p.values]
    assert len(told) == 24
    due = {
        "global": {"global"},
        "local": {"supervised", "global", "local"},
        "anatomical": {"supervised", "pseudo", "anatomical"},
    }
    for number, (stage, values) in enumerate(told):
        assert stage == ("global" if number < 1 else "local" if number < 4 else "anatomical")
        assert set(values) == due[stage] | {"loss", "learning_rate"}
        assert np.isfinite(list(values.values())).all()
        parts = sum(values[name] for name in due[stage])
        assert values["loss"] == pytest.approx(parts, rel=1e-4)
    assert told[-1][1]["supervised"] < told[2][1]["supervised"]


def test_the_card_says_what_the_model_is_made_of(trained, world):
    out, report, _ = trained
    card = load_card(out)
    assert report.card == card
    assert (card.task, card.architecture) == ("segmentation", "action unet efficientnet-lite0")
    assert card.config == {"classes": ["1", "2"], "short_side": 64, "window": 64}
    assert card.recipe.steps == 24
    assert card.recipe.config["stages"] == "action"
    assert card.recipe.config["kept"] == "teacher"
    assert card.metrics == {"labelled_images": 2, "unlabelled_images": 6, "left_out": 0}
    assert [source.name for source in card.data] == [
        "images and masks of 'known'",
        "images of 'more'",
    ]
    assert card.licence == "BSD-3-Clause AND Apache-2.0"  # the trunk's weights are Apache's
    assert "from ImageNet's weights" in card.description
    assert str(out.parent) not in out.with_suffix(".json").read_text()
    assert str(world[0].parent) not in out.with_suffix(".json").read_text()
    assert not list(out.parent.glob("*.checkpoint.*"))
    assert any("2 classes ('1', '2')" in line for line in report.remarks)


def test_weights_come_back_as_they_were_written(trained):
    network, card = load_network(trained[0])
    assert card == trained[1].card
    assert network.classes == 3
    assert not network.training
    written = load_file(trained[0])
    state = network.state_dict()
    assert state.keys() == written.keys()
    for name, value in state.items():
        assert (value.numpy() == written[name].astype(value.numpy().dtype)).all()
    assert all(v.dtype in (torch.float32, torch.int64) for v in state.values())


def test_a_run_that_was_broken_twice_equals_an_unbroken_one(world, tmp_path):
    """In every stage of ACTION++: losses and weights, to the last bit."""

    def config(name, **changes):
        return small_config(
            world[0],
            tmp_path / f"{name}.safetensors",
            unlabelled=world[1],
            stages="action++",
            steps=6,
            checkpoint_every=6,  # and where it is stopped
            **changes,
        )

    due, came = [], []
    train_action(config("whole"), on_progress=due.append)
    for steps, is_resumed in ((1, False), (4, True)):
        with pytest.raises(Cancelled, match=rf"after {steps} of 6 steps.*--resume goes on from it"):
            train_action(
                config("broken", resume=is_resumed),
                on_progress=came.append,
                should_stop=lambda steps=steps: sum(bool(p.values) for p in came) == steps,
            )
        saved = load_checkpoint(tmp_path / "broken.checkpoint.safetensors")
        assert saved.step == steps
        # One update of the teacher a step, through all stages.
        assert int(saved.modules["teacher"]["updates"]) == steps
    train_action(config("broken", resume=True), on_progress=came.append)
    assert [p.values for p in came if p.values] == [p.values for p in due if p.values]
    one, other = (load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "broken"))
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)


def test_at_most_one_interval_is_lost_at_any_time(world, tmp_path):
    """What lies on the disk after each step, as a kill would find it."""
    config = small_config(world[0], tmp_path / "m.safetensors", steps=5, checkpoint_every=2)
    found = []

    def look(progress):
        if progress.values:
            place = checkpoint_of(config.out)
            found.append((progress.done, load_checkpoint(place).step if place.is_file() else 0))

    train_action(config, on_progress=look)
    assert [done for done, _ in found] == [1, 2, 3, 4, 5]
    assert all(0 < done - kept <= 2 for done, kept in found)


def test_finish_writes_the_model_of_the_checkpoint(world, tmp_path):
    config = small_config(world[0], tmp_path / "m.safetensors", steps=5)
    seen = []
    with pytest.raises(Cancelled):
        train_action(config, on_progress=seen.append, should_stop=lambda: len(seen) > 4)
    saved = load_checkpoint(checkpoint_of(config.out))
    report = train_action(replace(config, resume=True, finish=True, keep="student"))
    assert report.card.recipe.steps == saved.step < 5
    assert f"Stopped early: {saved.step} of 5 steps were taken." in report.remarks
    assert report.card.recipe.config["kept"] == "student"
    head = saved.modules["student"]["branch.network.head.bias"]
    assert (load_file(config.out)["head.bias"] == head.numpy()).all()
    assert not checkpoint_of(config.out).exists()


def test_minutes_set_the_steps_that_fit(world, tmp_path, monkeypatch):
    """Of 3 s and steps of a tenth: 30; the number is recorded, and a resumed run keeps to it."""
    monkeypatch.setattr(action_timing, "seconds_of", lambda trial, start, should_stop: 0.1)
    monkeypatch.setattr(action_timing, "clock", lambda: 7.0)
    config = small_config(world[0], tmp_path / "m.safetensors", minutes=0.05)
    seen = []
    with pytest.raises(Cancelled, match="of 30 steps"):
        train_action(
            config, on_progress=seen.append, should_stop=lambda: any(p.values for p in seen)
        )
    assert load_checkpoint(checkpoint_of(config.out)).notes["total"] == 30
    monkeypatch.setattr(action_timing, "seconds_of", lambda *of: pytest.fail("timed again"))
    seen.clear()
    with pytest.raises(Cancelled, match="after 2 of 30 steps"):
        train_action(
            replace(config, resume=True),
            on_progress=seen.append,
            should_stop=lambda: any(p.values for p in seen),
        )


def test_a_training_can_be_stopped_while_its_steps_are_timed(world, tmp_path):
    config = small_config(world[0], tmp_path / "m.safetensors", minutes=0.05)
    told = []
    with pytest.raises(Cancelled, match="before the training began"):
        train_action(
            config,
            on_progress=lambda progress: told.append(progress.message),
            should_stop=lambda: "measuring the time of a step" in told,
        )
    assert not checkpoint_of(config.out).exists()


def test_the_time_of_a_step_is_taken_from_each_stage(monkeypatch):
    """By steps that are not kept; each stage counts as many times as it has steps."""
    known = tuple(LabelledImage(str(n), str(n), *disks(n)) for n in range(2))
    images = prepare(known, (), 64)
    schedule = Schedule(("supervised", "pseudo"), 8, batch=2, size=64)
    trial = ActionRun(start_network("random", 3, 1), images, schedule, 1, "cpu")
    assert trial.ends == (4, 8)
    for start, stage in zip((0, 4), schedule.stages, strict=True):
        assert action_timing.seconds_of(trial, start) > 0
        trial.done = start
        assert trial.stage == stage
    # A second and three of them, half of the steps each: 120 steps in four minutes.
    monkeypatch.setattr(action_timing, "seconds_of", lambda trial, start, stop: 1 + 2 * (start > 0))
    monkeypatch.setattr(action_timing, "clock", lambda: 7.0)
    assert action_timing.Allowance(240).measure(trial) == 120


def test_a_run_keeps_its_student_in_training_and_its_teacher_through_stages():
    known = tuple(LabelledImage(str(n), str(n), *disks(n)) for n in range(2))
    schedule = Schedule(("global", "anatomical"), 2, batch=2, size=64)
    run = ActionRun(start_network("random", 3, 1), prepare(known, (), 64), schedule, 1, "cpu")
    teacher = run.teacher
    run.step()
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    shown = run.network("student")
    assert not shown.training
    assert run.student.branch.network.training
    assert run.teacher is teacher
    assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items())
    assert run.stage == "anatomical"
    run.step()
    assert int(teacher.updates) == run.done == 2
    assert run.network("teacher") is not teacher.branch.network


@pytest.mark.parametrize("start", ["imagenet", "random"])
def test_only_a_random_trunk_gathers_statistics(start):
    """The weights of both are learnt; a comparison's student and teacher are then in use alike."""
    known = (LabelledImage("0", "0", *disks(0)),)
    schedule = Schedule(("supervised",), 1, batch=2, size=64)
    run = ActionRun(start_network(start, 3, 1), prepare(known, (), 64), schedule, 1, "cpu")
    trunk = run.student.branch.network.trunk
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    run.step()
    for name, value in trunk.state_dict().items():
        is_statistic = "running" in name or "num_batches" in name
        assert torch.equal(value, before[name]) == (is_statistic and start == "imagenet"), name


def test_a_step_knows_which_images_it_looks_at():
    """By their numbers among all that are looked at without masks."""
    others = [disks(n)[0] for n in range(1, 6)]
    images = prepare([LabelledImage("0", "0", *disks(0))], others, 64)
    schedule = Schedule(("global", "supervised"), 2, batch=3, size=64)
    run = ActionRun(start_network("random", 3, 1), images, schedule, 1, "cpu")
    batch = run._draw(STAGES["global"], torch.Generator().manual_seed(0))
    assert (batch.numbers.dtype, batch.numbers.shape) == (torch.int64, (3,))
    assert len(set(batch.numbers.tolist())) == 3
    # The same draws of one image alone: each view is of the image that is named.
    alone = [prepare((), [image], 64).unlabelled for image in [disks(0)[0], *others]]
    for place, number in enumerate(batch.numbers.tolist()):
        run.images = replace(images, unlabelled=tuple(alone[number][0] for _ in range(6)))
        again = run._draw(STAGES["global"], torch.Generator().manual_seed(0))
        assert torch.equal(again.weak[place], batch.weak[place])
    assert not len(run._draw(STAGES["supervised"], torch.Generator()).numbers)


def test_without_masks_a_start_is_trained(world, tmp_path):
    """It says so, segments nothing, and others begin with its weights."""
    out = tmp_path / "start.safetensors"
    seen = []
    config = small_config(None, out, unlabelled=world[1], stages="global,distillation", steps=2)
    card = train_action(config, on_progress=seen.append).card
    assert [set(p.values) for p in seen if p.values] == [
        {"loss", "learning_rate", "global"},
        {"loss", "learning_rate", "global", "local"},
    ]
    assert card.task == "segmentation-start"
    assert card.metrics == {"labelled_images": 0, "unlabelled_images": 6, "left_out": 0}
    assert [source.name for source in card.data] == ["images of 'more'"]
    assert "without masks" in card.description
    with pytest.raises(UserError, match=r"'start' is for the task 'segmentation-start' and segm"):
        load_segmenter(SegmentConfig(str(out), device="cpu"))
    due = load_network(out)[0].state_dict()
    for name, value in start_network(str(out), 3, 1).state_dict().items():
        assert name.startswith("head.") or torch.equal(value, due[name])
    config = small_config(world[0], tmp_path / "m.safetensors", start=str(out), steps=1)
    card = train_action(config).card
    assert (card.task, card.config["classes"]) == ("segmentation", ["1", "2"])
    assert "from the model 'start'" in card.description
    assert card.data[0].name == "images of 'more'"


@pytest.mark.parametrize(
    ("stages", "asking"),
    [(name, name) for name, terms in STAGES.items() if terms.takes_masks]
    + [("action", "local"), ("distillation,pseudo", "pseudo")],
)
def test_stages_that_need_masks_are_refused_without(world, tmp_path, stages, asking):
    config = small_config(None, tmp_path / "m.safetensors", unlabelled=world[1], stages=stages)
    text = f"Stage '{asking}' learns from masks. Give --labelled, or stages that need none: global"
    with pytest.raises(UserError, match=re.escape(text)):
        check_trainable(config)


def test_without_any_images_nothing_is_trained(tmp_path):
    config = small_config(None, tmp_path / "m.safetensors", stages="global")
    with pytest.raises(UserError, match=r"There are no images. Give --labelled, --unlabelled, or"):
        check_trainable(config)


def test_the_card_counts_no_images_that_are_not_learnt_from(world, tmp_path):
    """Those of a quick training, which learns from the masks alone."""
    config = small_config(
        world[0], tmp_path / "m.safetensors", unlabelled=world[1], stages="supervised", steps=1
    )
    card = train_action(config).card
    assert card.metrics == {"labelled_images": 2, "unlabelled_images": 0, "left_out": 0}
    assert card.recipe.config["unlabelled_images"] == 0
    assert [source.name for source in card.data] == ["images and masks of 'known'"]


@pytest.mark.parametrize("stages", ["action", "strong-weak"])
def test_one_labelled_image_is_enough(tmp_path, stages):
    """And no unlabelled folder: the image itself serves."""
    known = write_labelled(tmp_path / "known", (0,))
    config = small_config(known, tmp_path / "m.safetensors", stages=stages)
    seen = []
    report = train_action(config, on_progress=seen.append)
    assert report.card.metrics["labelled_images"] == 1
    assert report.card.metrics["unlabelled_images"] == 0
    assert all(np.isfinite(list(p.values.values())).all() for p in seen if p.values)


def test_a_model_with_other_classes_is_a_start(trained, tmp_path):
    """All but its head: and the card says so, without a folder of this machine."""
    known = write_labelled(tmp_path / "known", (0,))
    save(known / "masks" / "000.png", (disks(0)[1] > 0).astype(np.uint8))
    config = small_config(known, tmp_path / "m.safetensors", start=str(trained[0]), steps=1)
    assert compared(config)["start"] == "disks.safetensors"
    card = train_action(config).card
    assert card.config["classes"] == ["1"]
    assert "from the model 'disks'" in card.description
    assert card.licence == trained[1].card.licence
    assert card.data[:2] == trained[1].card.data
    assert str(trained[0].parent) not in config.out.with_suffix(".json").read_text()
    started, former = start_network(str(trained[0]), 2, 1), load_network(trained[0])[0].state_dict()
    for name, value in started.state_dict().items():
        assert name.startswith("head.") or torch.equal(value, former[name])
    same = start_network(str(trained[0]), 3, 1).state_dict()
    assert torch.equal(same["head.weight"], former["head.weight"])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"stages": "nonsense"}, r"--stages 'nonsense': 'nonsense' is no stage; due are action"),
        ({"stages": "action", "steps": 2}, r"--stages 'action': 2 steps for 3 stages"),
        ({"size": 100}, r"--size 100 is not a multiple of 32. Give 96\."),
        ({"size": 96}, r"--short-side 64 is less than --size 96"),
        ({"finish": True}, r"--finish writes the model of a checkpoint. Give --resume as well"),
        ({"resume": True}, r"There is no checkpoint .* to resume"),
        ({"start": "simcfs-figures"}, r"'simcfs-figures' is .*due is one of `medssl train action`"),
        ({"start": "nonsense"}, r"nonsense"),
    ],
)
def test_what_cannot_be_trained_is_told_at_once(world, tmp_path, changes, text):
    with pytest.raises(UserError, match=text):
        check_trainable(small_config(world[0], tmp_path / "m.safetensors", **changes))


def test_folders_and_names_that_cannot_be_used_are_told(world, tmp_path):
    out = tmp_path / "m.safetensors"
    with pytest.raises(UserError, match=r"must end in .safetensors"):
        check_trainable(small_config(world[0], tmp_path / "m.pt"))
    with pytest.raises(UserError, match=r"--labelled .* is not a folder"):
        check_trainable(small_config(tmp_path / "none", out))
    with pytest.raises(UserError, match=r"--unlabelled .* is not a folder"):
        check_trainable(small_config(world[0], out, unlabelled=tmp_path / "none"))


def test_a_checkpoint_of_other_settings_is_told(world, tmp_path):
    config = small_config(world[0], tmp_path / "m.safetensors")
    seen = []
    with pytest.raises(Cancelled):
        train_action(
            config, on_progress=seen.append, should_stop=lambda: any(p.values for p in seen)
        )
    with pytest.raises(UserError, match="made with other settings of batch, stages"):
        train_action(replace(config, resume=True, batch=1, stages="pseudo"))
    write_labelled(tmp_path / "other" / world[0].name, (0,))
    with pytest.raises(UserError, match="made with other settings of labelled_images"):
        train_action(replace(config, resume=True, labelled=tmp_path / "other" / world[0].name))


def test_a_model_whose_weights_do_not_fit_its_card_is_told(trained, tmp_path):
    copy = tmp_path / "m.safetensors"
    copy.write_bytes(trained[0].read_bytes())
    card = json.loads(trained[0].with_suffix(".json").read_text())
    card["config"]["classes"] = ["a", "b", "c"]
    copy.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(UserError, match=r"Model 'disks' does not fit the network that its card"):
        load_network(copy)


# -- images --------------------------------------------------------------------------------------


def test_images_and_classes_are_scaled_alike():
    pixels, classes = disks(0, 90)
    image = LabelledImage("a", "a", pixels[:, :61], classes[:, :61])
    ((planes, scaled),) = prepare([image], (), 40).labelled
    assert planes.shape == (3, 59, 40)
    assert scaled.shape == (59, 40)
    red, yellow = (planes[:, scaled == number].float().mean(dim=1) for number in (1, 2))
    assert red[0] > red[2] + 80
    assert yellow[1] > red[1] + 80
    assert set(scaled.unique().tolist()) == {0, 1, 2}


def test_labelled_images_are_looked_at_without_their_masks_too():
    images = prepare([LabelledImage("a", "a", *disks(0))], [disks(1)[0]], 64)
    assert len(images.unlabelled) == 2
    assert torch.equal(images.unlabelled[0], images.labelled[0][0])


@pytest.mark.parametrize(
    ("square", "side", "due"),
    [(64, 256, 64), (8, 256, 256), (8, 128, 128), (8, 1024, 256), (32, 512, 256)],
)
def test_small_objects_ask_for_a_larger_scale(square, side, due):
    """Crops of 64: an object of 8 of 256 pixels is 16 at 512, but images are not enlarged."""
    classes = np.zeros((side, side), np.uint8)
    classes[10 : 10 + square, 20 : 20 + square] = 1
    image = LabelledImage("a", "a", np.zeros((side, side, 3), np.uint8), classes)
    assert short_side_for([image], 64) == due


def test_the_rim_that_scaling_leaves_around_a_class_asks_for_no_larger_scale():
    classes = np.zeros((512, 512), np.uint8)
    classes[100:164, 100:164] = 3
    classes[100:164:8, 99] = 1  # between 3 and 0
    pixels = np.zeros((512, 512, 3), np.uint8)
    assert short_side_for([LabelledImage("a", "a", pixels, classes)], 64) == 128
    alone = np.where(classes == 1, classes, 0).astype(np.uint8)
    assert short_side_for([LabelledImage("a", "a", pixels, alone)], 64) == 256


def test_nothing_painted_needs_no_scale():
    image = LabelledImage("a", "a", np.zeros((90, 90, 3), np.uint8), np.zeros((90, 90), np.uint8))
    assert short_side_for([image], 64) == 64
