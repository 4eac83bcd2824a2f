"""Trainings that end by themselves: when, how, and exactly alike if they were broken."""

from dataclasses import replace

import pytest
import torch
from action_world import small_config, write_labelled, write_unlabelled
from safetensors.numpy import load_file

from napari_medssl._errors import UserError
from napari_medssl.backend.action_config import check_trainable
from napari_medssl.backend.checkpoints import load_checkpoint
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.train_action import ENDING, train_action
from napari_medssl.backend.train_steps import checkpoint_of, learning_rate_at
from napari_medssl.methods.action.settling import Settling

STEPS = 20  # a look after each, two steps down


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for each other crawl on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two labelled images, and two without masks."""
    folder = tmp_path_factory.mktemp("world")
    return write_labelled(folder / "known", (0, 1)), write_unlabelled(folder / "more", (2, 3))


def config(world, out, **changes):
    """What is stopped leaves a checkpoint anyway: none is due on the way."""
    given = {"unlabelled": world[1], "steps": STEPS, "early_stop": True, "checkpoint_every": STEPS}
    return small_config(world[0], out, **(given | changes))


def trained(config, *, settled_at=None, told=None, **how):
    """Train; nothing changes any more from the look `settled_at` on, if one is given."""
    seen = [] if told is None else told
    with pytest.MonkeyPatch.context() as patch:
        if settled_at:
            patch.setattr(Settling, "has_settled", lambda self, _: int(self.looks) >= settled_at)
        report = train_action(config, on_progress=seen.append, **how)
    return report, [p for p in seen if p.values]


@pytest.fixture(scope="module")
def ended(world, tmp_path_factory):
    """A training that settles at its fifth look: its report, what it told, its weights."""
    out = tmp_path_factory.mktemp("ended") / "m.safetensors"
    return *trained(config(world, out), settled_at=5), load_file(out)


@pytest.fixture(scope="module")
def watched(world, tmp_path_factory):
    """A training that settles too late, as `ended`."""
    out = tmp_path_factory.mktemp("watched") / "m.safetensors"
    return *trained(config(world, out), settled_at=17), load_file(out)


def test_it_ends_a_tenth_of_the_steps_after_nothing_changes(ended):
    """The rate goes down at once; total, words and remark say what happens."""
    report, told, _ = ended
    assert [p.done for p in told] == [1, 2, 3, 4, 5, 6, 7]
    assert [p.total for p in told] == [STEPS] * 4 + [7] * 3
    assert [p.message for p in told] == ["supervised"] * 5 + [ENDING] * 2
    rates = [p.values["learning_rate"] for p in told]
    peak = 0.003
    assert rates[:5] == [learning_rate_at(step, STEPS, peak) for step in range(5)]
    before, low = learning_rate_at(5, STEPS, peak), 0.02 * peak
    assert rates[5:] == pytest.approx([before, (before + low) / 2])
    assert ["changed" in p.values for p in told] == [False] * 3 + [True] * 2 + [False] * 2
    assert "Ended after 7 of 20 steps: hardly anything changed." in report.remarks
    recipe = report.card.recipe
    assert (recipe.steps, recipe.config["planned_steps"]) == (7, STEPS)
    assert recipe.config["early_stop"] is True


def test_near_the_end_it_is_not_worth_it(watched):
    """From step 16 on two steps of a way down end at 18 or before: 17 is too late."""
    report, told, _ = watched
    assert len(told) == STEPS
    assert "planned_steps" not in report.card.recipe.config
    assert not any("Ended" in line for line in report.remarks)


def test_looking_changes_nothing_that_is_learnt(world, watched, tmp_path):
    out = tmp_path / "plain.safetensors"
    plain = trained(config(world, out, early_stop=False))[1]
    assert all("changed" not in p.values for p in plain)
    for one, other in zip(plain, watched[1], strict=True):
        assert one.values == {name: v for name, v in other.values.items() if name != "changed"}
    one, other = load_file(out), watched[2]
    assert all((one[name] == other[name]).all() for name in one)


@pytest.mark.parametrize("broken_at", [2, 6])
def test_a_run_that_was_broken_ends_as_an_unbroken_one(world, ended, tmp_path, broken_at):
    """Before it settles, and on the way down: losses, rates and weights, to the last bit."""
    broken = config(world, tmp_path / "broken.safetensors")
    came = []
    with pytest.raises(Cancelled, match=f"after {broken_at} of"):
        trained(
            broken,
            settled_at=5,
            told=came,
            should_stop=lambda: sum(bool(p.values) for p in came) == broken_at,
        )
    saved = load_checkpoint(checkpoint_of(broken.out))
    assert int(saved.modules["early_stop"]["ending"]) == (5 if broken_at > 5 else 0)
    again = trained(replace(broken, resume=True), settled_at=5)[1]
    assert [p for p in came if p.values] + again == ended[1]
    one, other = ended[2], load_file(broken.out)
    assert all((one[name] == other[name]).all() for name in one)


def test_it_is_watched_only_when_the_teacher_counts_in_full(world, tmp_path):
    """In the last stage of two, after two fifths of it: the fourth look from step 14 on."""
    changes = {"stages": "supervised,pseudo", "steps": STEPS}
    _, told = trained(config(world, tmp_path / "m.safetensors", **changes))
    assert next(p.done for p in told if "changed" in p.values) == 17


def test_a_stage_without_masks_before_the_last_is_passed_over(world, tmp_path):
    changes = {"stages": "global,supervised", "steps": STEPS}
    _, told = trained(config(world, tmp_path / "m.safetensors", **changes), settled_at=4)
    assert [p.done for p in told if "changed" in p.values] == [5]  # from step 2 on
    assert told[-1].done == 7


def test_without_masks_at_the_end_nothing_can_be_watched(world, tmp_path):
    given = config(world, tmp_path / "m.safetensors", stages="supervised,global")
    with pytest.raises(UserError, match=r"--early-stop looks at what is found, and stage 'global'"):
        check_trainable(given)


def test_a_checkpoint_without_it_is_not_resumed_with_it(world, tmp_path):
    given = config(world, tmp_path / "m.safetensors", early_stop=False)
    came = []
    with pytest.raises(Cancelled):
        train_action(
            given, on_progress=came.append, should_stop=lambda: any(p.values for p in came)
        )
    with pytest.raises(UserError, match="made with other settings of early_stop"):
        train_action(replace(given, resume=True, early_stop=True))
