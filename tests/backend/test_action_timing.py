"""A training keeps to its time whatever the machine does meanwhile, by a clock of the tests."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from action_world import small_config, write_labelled, write_unlabelled
from safetensors.numpy import load_file

from napari_medssl.backend import action_timing
from napari_medssl.backend import train_action as train_action_module
from napari_medssl.backend.action_course import Course
from napari_medssl.backend.action_run import ActionRun
from napari_medssl.backend.action_timing import Allowance
from napari_medssl.backend.checkpoints import load_checkpoint, save_checkpoint
from napari_medssl.backend.jobs import Cancelled, Progress
from napari_medssl.backend.train_action import train_action
from napari_medssl.backend.train_steps import checkpoint_of, learning_rate_at
from napari_medssl.methods.action.stages import stage_ends
from napari_medssl.methods.action.teacher import momentum_for

MODULES = ActionRun.modules
ACTION = ("global", "local", "anatomical")
COSTS = (0.1, 0.2, 0.3)  # seconds of a step of each stage on an idle machine


class Clock:
    """Shows what a test says."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(action_timing, "clock", made)
    return made


class FakeRun:
    """The steps of a run, which take as long as a test says, and learn nothing."""

    def __init__(self, clock, seconds, steps=600, stages=ACTION):
        self.clock, self.seconds = clock, seconds
        self.ends, self.course = stage_ends(stages, steps), Course(steps)
        self.done, self.ending = 0, None
        self.places = []

    stage_number = ActionRun.stage_number
    place = ActionRun.place
    end = ActionRun.end

    def end_after(self, left):
        self.course.end_after(self.done, left)

    def step(self):
        self.places.append(self.place)
        self.clock.now += self.seconds(self)
        self.done += 1


def idle(run):
    return COSTS[run.stage_number]


def trained(clock, allowance, seconds, timed=idle):
    """Take the steps that fit while the machine is as it is; return the run."""
    return taken(FakeRun(clock, seconds, allowance.measure(FakeRun(clock, timed))), allowance)


def taken(run, allowance):
    """Take the steps of a run; return it."""
    while run.done < run.end:
        stage = run.stage_number
        run.step()
        allowance.after_step(run, stage)
    return run


def slower(clock, times, since, until=1e9):
    """Return seconds of steps, so many times as long from some second of the training on."""
    begun = clock.now
    return lambda run: idle(run) * (times if since <= clock.now - begun < until else 1)


def rate_left(run):
    """Return the learning rate of the last step, as part of the peak."""
    return learning_rate_at(run.places[-1], run.course.planned, 1.0)


@pytest.mark.parametrize("times", [1, 3, 1 / 3, 10])
@pytest.mark.parametrize("since", [0, 150, 300, 570])
def test_a_machine_that_becomes_slower_or_faster_keeps_the_time(clock, times, since):
    """Ten minutes within 4 %; the rate has come down as far as in any training."""
    begun = clock.now
    run = trained(clock, Allowance(600), slower(clock, times, since))
    assert clock.now - begun == pytest.approx(600, rel=0.04)
    assert rate_left(run) < 0.025
    assert run.places == sorted(run.places)
    assert run.places[-1] < run.course.planned


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("planned", [45, 90, 200])
def test_a_short_training_on_a_machine_that_becomes_three_times_as_slow(clock, planned, share):
    """As far as it is known in time: within 15 %, steps of which vary by a third besides."""
    for seed in range(5):
        random, begun = np.random.default_rng(seed), clock.now
        cost = 180 / planned

        def seconds(run, random=random, begun=begun, cost=cost):
            return cost * random.uniform(0.7, 1.3) * (3 if clock.now - begun > share * 180 else 1)

        allowance = Allowance(180)
        steps = allowance.measure(FakeRun(clock, seconds, stages=("pseudo",)))
        run = taken(FakeRun(clock, seconds, steps, ("pseudo",)), allowance)
        assert clock.now - begun == pytest.approx(180, rel=0.15)
        assert run.done >= 20


def test_a_machine_that_was_busy_only_while_steps_were_timed_keeps_the_time(clock):
    """Ten times as slow then: ten times as many steps fit as were thought to."""
    begun = clock.now
    ends = []
    run = trained(
        clock,
        Allowance(60),
        lambda run: ends.append(run.end) or idle(run),
        lambda run: 10 * idle(run),
    )
    assert ends[0] == 60  # 20 of each stage at least
    assert clock.now - begun == pytest.approx(60, abs=1)
    assert run.done > 120


def test_stages_keep_their_shares_of_what_is_left(clock):
    """On a machine that is always as fast: 1, 2 and 14 parts of the steps, as without a time."""
    run = trained(clock, Allowance(300), idle)
    starts = (0, *run.ends[:-1])
    shares = [sum(a <= p < b for p in run.places) for a, b in zip(starts, run.ends, strict=True)]
    due = [run.done * part / 17 for part in (1, 2, 14)]
    assert shares == pytest.approx(due, abs=1.5)


def test_a_step_in_which_the_machine_slept_ends_nothing(clock):
    """Ten minutes of it count as seconds: nearly as many steps as without are taken."""
    due = trained(clock, Allowance(60), idle).done
    begun = clock.now
    run = trained(clock, Allowance(60), lambda run: idle(run) + 600 * (run.done == 100), idle)
    assert clock.now - begun == pytest.approx(660, abs=6)
    assert run.done == pytest.approx(due, rel=0.1)


def test_steps_that_are_long_now_and_then_count_as_they_are(clock):
    """As when a picture or a checkpoint is written: every tenth takes twice as long."""
    begun = clock.now
    trained(clock, Allowance(60), lambda run: idle(run) * (1 + (run.done % 10 == 0)))
    assert clock.now - begun == pytest.approx(60, abs=1)


def test_a_model_of_use_takes_some_steps_however_short_the_time(clock):
    """20 of each stage, also where the machine is slower than was thought; it is told."""
    allowance = Allowance(12)
    assert trained(clock, allowance, idle).done == 60
    clock.now += 1
    allowance = Allowance(12)
    run = FakeRun(clock, lambda run: 10 * idle(run), allowance.measure(FakeRun(clock, idle)))
    told = []
    while run.done < run.end:
        stage = run.stage_number
        run.step()
        allowance.after_step(run, stage)
        told.append((clock.now, allowance.left_s()))
    assert run.done == 60
    then, left = told[10]
    assert left == pytest.approx(clock.now - then, rel=0.05)


def test_time_left_is_told_from_the_beginning(clock):
    """Of reading, of timing, and of each step, and where more than the time is needed."""
    allowance = Allowance(60)
    told = []
    tell = allowance.told(told.append)
    tell(Progress(0, None, "reading"))
    clock.now += 4
    tell(Progress(3, 12, "reading"))
    run = FakeRun(clock, idle, allowance.measure(FakeRun(clock, idle)))
    tell(Progress(0, run.end))
    assert [p.left_s for p in told] == [60, 56, pytest.approx(60 - (clock.now - 1000), abs=0.3)]
    while run.done < run.end:
        stage = run.stage_number
        run.step()
        allowance.after_step(run, stage)
        assert allowance.left_s() == pytest.approx(1060 - clock.now, abs=0.5)
    assert allowance.left_s() == pytest.approx(0, abs=0.3)


def test_however_long_reading_takes_half_of_the_time_is_for_learning(clock):
    allowance = Allowance(60)
    clock.now += 3600
    begun = clock.now
    trained(clock, allowance, idle)
    assert clock.now - begun == pytest.approx(30, abs=2)


def test_on_a_crawling_machine_not_every_stage_is_timed(clock):
    """Three steps of 50 s are more than a tenth of five minutes."""
    begun = clock.now
    Allowance(300).measure(FakeRun(clock, lambda run: 50.0))
    assert clock.now - begun == 150


def test_a_training_that_ends_early_tells_its_own_time(clock):
    """The way down is not reckoned anew: its end is fixed, and its time is told."""
    allowance = Allowance(60)
    run = FakeRun(clock, idle, allowance.measure(FakeRun(clock, idle)))
    while run.done < 100:
        stage = run.stage_number
        run.step()
        allowance.after_step(run, stage)
    total = run.course.total
    run.ending = (100, 110)
    run.step()
    allowance.after_step(run, 2)
    assert (run.end, run.course.total) == (110, total)
    assert allowance.left_s() == pytest.approx(9 * COSTS[2], rel=0.05)


def test_a_course_that_nobody_changes_is_its_steps_to_the_last_bit():
    for steps in (1, 7, 601, 49_999):
        assert [Course(steps).place(n) for n in range(steps)] == list(range(steps))


def test_a_course_goes_on_from_where_it_is():
    course = Course(100)
    course.end_after(40, 30)
    assert course.total == 70
    assert [course.place(done) for done in (40, 55, 70)] == [40, 70, 100]
    course.end_after(55, 60)
    assert [course.place(done) for done in (55, 85, 115)] == pytest.approx([70, 85, 100])
    again = Course.restored(course.state())
    assert [again.place(n) for n in range(55, 115)] == [course.place(n) for n in range(55, 115)]


# -- trainings ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two labelled images, and two without masks."""
    folder = tmp_path_factory.mktemp("world")
    return write_labelled(folder / "known", (0, 1)), write_unlabelled(folder / "more", (2, 3))


@pytest.fixture
def machine(clock, monkeypatch):
    """Steps take .1 s, and from the tenth on half as long again."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    step = ActionRun.step

    def timed(self):
        clock.now += 0.1 * (1.5 if self.done >= 10 else 1)
        return step(self)

    monkeypatch.setattr(ActionRun, "step", timed)
    yield SimpleNamespace(clock=clock)
    torch.set_num_threads(before)


def config(world, out, **changes):
    given = {"unlabelled": world[1], "minutes": 0.06, "checkpoint_every": 1000, "batch": 1}
    return small_config(world[0], out, **(given | {"stages": "pseudo"} | changes))


def learnt(config, **how):
    seen = []
    report = train_action(config, on_progress=seen.append, **how)
    return report, [p for p in seen if p.values]


def test_a_broken_training_that_keeps_to_a_time_equals_an_unbroken_one(machine, world, tmp_path):
    """Totals, rates, losses and weights, to the last bit, though steps became longer meanwhile."""
    report, due = learnt(config(world, tmp_path / "whole.safetensors"))
    assert due[0].total > due[-1].total
    broken = config(world, tmp_path / "broken.safetensors")
    came = []
    for at in (7, 18):
        with pytest.raises(Cancelled, match=f"after {at} of"):
            train_action(
                replace(broken, resume=bool(came)),
                on_progress=came.append,
                should_stop=lambda at=at: sum(bool(p.values) for p in came) == at,
            )
        machine.clock.now += 5000  # a pause does not count
    came = [p for p in came if p.values] + learnt(replace(broken, resume=True))[1]
    assert [replace(p, left_s=0) for p in came] == [replace(p, left_s=0) for p in due]
    assert [p.left_s for p in came] == pytest.approx([p.left_s for p in due], abs=1e-6)
    assert report.card.recipe.steps == len(due) == due[-1].total
    one, other = (load_file(tmp_path / f"{n}.safetensors") for n in ("whole", "broken"))
    assert all((one[name] == other[name]).all() for name in one)


def stopped(config, at, **how):
    """Train until so many steps are taken; return the notes of the checkpoint."""
    seen = []
    with pytest.raises(Cancelled):
        train_action(
            config,
            on_progress=seen.append,
            should_stop=lambda: any(p.values and p.done >= at for p in seen),
        )
    return load_checkpoint(checkpoint_of(config.out)).notes, seen


def test_the_teacher_looks_back_as_in_a_training_of_as_many_steps(
    machine, world, tmp_path, monkeypatch
):
    """Also when it goes on; and what is left is told from the first word."""
    given = config(world, tmp_path / "m.safetensors", minutes=1.0)
    runs = []
    monkeypatch.setattr(ActionRun, "modules", lambda run: runs.append(run) or MODULES(run))
    first, seen = stopped(given, 21)
    assert all(p.left_s <= 60 for p in seen)
    assert seen[0].left_s == 60
    second, _ = stopped(replace(given, resume=True), 23)
    assert second["course"][0] == first["course"][0] > first["total"] > 60
    for run in (runs[0], runs[-1]):
        assert run.teacher.momentum == momentum_for(run.course.total) > 0.9
        assert momentum_for(run.course.planned) != run.teacher.momentum


def test_an_older_checkpoint_keeps_to_the_steps_that_it_tells(
    machine, world, tmp_path, monkeypatch
):
    def save_older(path, *args, notes, **rest):
        save_checkpoint(path, *args, notes={k: notes[k] for k in ("total", "spent_s")}, **rest)

    given = config(world, tmp_path / "m.safetensors")
    monkeypatch.setattr(train_action_module, "save_checkpoint", save_older)
    notes, _ = stopped(given, 6)
    _, told = learnt(replace(given, resume=True))
    assert {p.total for p in told} == {notes["total"]}
    assert told[-1].done == notes["total"]
    assert all(p.left_s is None for p in told)
