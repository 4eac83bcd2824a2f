"""Recipes compared by few labels: what is made once, kept, averaged and told."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from action_world import write_set

from napari_medssl._errors import UserError
from napari_medssl.backend import evaluate_action as work
from napari_medssl.backend.action_comparison import ComparedSet, ComparisonReport, RecipeRun
from napari_medssl.backend.action_comparison_config import EvaluateActionConfig, check_comparison
from napari_medssl.backend.action_start import trunk_rate_for
from napari_medssl.backend.evaluate_action import evaluate_action, score_image
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.surface_distances import diagonal, surface_distances
from napari_medssl.backend.transfer_data import LabelledImage
from napari_medssl.methods.action import stages

RECIPES = ("supervised", "strong-weak")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for each other crawl on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def config_of(data, out, **changes):
    given = {"recipes": RECIPES, "fractions": "5,10,100", "seeds": 1, "steps": 2, "batch": 2}
    given |= {"size": 64, "start": "random", "device": "cpu"}
    return EvaluateActionConfig(data=(data,), out=out, **(given | changes))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished comparison, its config, its progress, and how many runs were made."""
    folder = tmp_path_factory.mktemp("compared")
    config = config_of(write_set(folder / "disks", range(5)), folder / "out" / "table.json")
    config.out.parent.mkdir()
    seen = []
    return evaluate_action(config, on_progress=seen.append), config, seen


def test_every_recipe_has_every_part_with_both_branches(done):
    report, _, _ = done
    (one,) = report.sets
    kinds = [(run.recipe, run.branch, run.percent, run.seed) for run in one.runs]
    assert len(kinds) == len(set(kinds)) == 2 * 2 * 3
    assert (len(one.train), len(one.test), one.test_groups) == (3, 2, 2)
    assert one.labelled(5) == one.labelled(10) == 1
    assert one.labelled(100) == 3
    assert one.shown == (2, 2)
    for run in one.runs:
        assert {m: np.shape(run.scores[m]) for m in run.scores} == dict.fromkeys(
            ("dsc", "asd", "hd95"), (2, 2)
        )


def test_the_same_part_is_learnt_from_once(done):
    """5 and 10 % of three images are one image: one run of each recipe serves both."""
    report, config, seen = done
    made = {p.message for p in seen if p.values}
    assert made == {f"disks: {r}, {p} %, seed 1" for r in RECIPES for p in (5, 100)}
    lines = config.out.with_suffix(".journal").read_text().splitlines()
    assert len(lines) == len(made) * 2
    found = {(r.recipe, r.branch, r.percent): r.scores for r in report.sets[0].runs}
    for recipe in RECIPES:
        assert found[recipe, "student", 5] == found[recipe, "student", 10]


def test_finished_runs_are_not_made_again(done, monkeypatch, tmp_path):
    report, config, _ = done
    monkeypatch.setattr(work, "ActionRun", lambda *a, **k: pytest.fail("a run was made"))
    assert evaluate_action(config) == report
    # Other tables of the same runs.
    other = replace(config, keep="student", recipes=RECIPES[:1], out=tmp_path / "other.json")
    journal = config.out.with_suffix(".journal").read_bytes()
    other.out.with_suffix(".journal").write_bytes(journal)
    due = tuple(run for run in report.sets[0].runs if run.recipe == RECIPES[0])
    assert evaluate_action(other).sets[0].runs == due


def test_a_stage_that_asks_for_something_else_is_learnt_anew(done, monkeypatch, tmp_path):
    """Else the journal would give the scores of what a recipe was before."""
    _, config, _ = done
    mine = replace(config, out=tmp_path / "t.json", recipes=RECIPES[:1], fractions="5")
    mine.out.with_suffix(".journal").write_bytes(config.out.with_suffix(".journal").read_bytes())
    monkeypatch.setitem(stages.STAGES, RECIPES[0], stages.Terms(supervised=0.5))
    seen = []
    evaluate_action(mine, on_progress=seen.append)
    assert {p.message for p in seen if p.values} == {"disks: supervised, 5 %, seed 1"}


def test_runs_with_negatives_are_others_and_are_told(done, tmp_path):
    """Those without have the names that they had before there were any."""
    _, config, _ = done
    mine = replace(config, out=tmp_path / "t.json", recipes=RECIPES[:1], fractions="5")
    kept = mine.out.with_suffix(".journal")
    kept.write_bytes(config.out.with_suffix(".journal").read_bytes())
    assert "negatives" not in config.out.with_suffix(".md").read_text()
    seen = []
    assert evaluate_action(replace(mine, invert="never"), on_progress=seen.append)
    assert not any(p.values for p in seen)
    report = evaluate_action(replace(mine, invert="always"), on_progress=seen.append)
    assert {p.message for p in seen if p.values} == {"disks: supervised, 5 %, seed 1"}
    assert report.sets[0].inverted == 0.2
    assert "test on, 20% of strong views as negatives." in mine.out.with_suffix(".md").read_text()


@pytest.mark.parametrize(("start", "due"), [("random", 1.0), ("imagenet", 0.2), ("my-model", 0.2)])
def test_a_random_trunk_has_the_whole_rate(start, due):
    assert trunk_rate_for(start) == due


def test_a_stopped_comparison_goes_on_to_the_same_scores(done, tmp_path):
    """Stopped in the second run, its journal torn as by a kill."""
    report, config, _ = done
    mine = replace(config, out=tmp_path / "t.json", fractions="5")
    seen = []
    with pytest.raises(
        Cancelled, match=r"after 1 of 2 runs; they are kept .* same command goes on"
    ):
        evaluate_action(
            mine,
            on_progress=seen.append,
            should_stop=lambda: any(p.values and p.done == 3 for p in seen),
        )
    assert not mine.out.exists()
    with mine.out.with_suffix(".journal").open("ab") as file:
        file.write(b"17 0000")
    seen.clear()
    again = evaluate_action(mine, on_progress=seen.append)
    assert {p.message for p in seen if p.values} == {"disks: strong-weak, 5 %, seed 1"}
    due = [run for run in report.sets[0].runs if run.percent == 5]
    assert list(again.sets[0].runs) == due


def test_tables_and_report_are_written_without_folders(done):
    report, config, _ = done
    text = config.out.with_suffix(".md").read_text()
    assert text == report.to_markdown()
    assert text.startswith("DSC:\n\n| set | class | labelled | % | supervised | strong-weak |\n")
    assert "| disks | mean | 1 | 5 | " in text
    assert "| disks | 2 | 3 | 100 | " in text
    for words in ("ASD, pixels:", "95HD, pixels:", "one seed", "(random)", "2 steps of 2 labelled"):
        assert words in text
    assert "disks: 3 images to train on, 2 of 2 other groups to test on." in text
    assert str(config.out.parent.parent) not in config.out.read_text()
    written = json.loads(config.out.read_text())
    assert len(written["sets"][0]["runs"]) == 12
    assert written["settings"]["data"] == ["disks"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"recipes": ("nonsense",)}, "--stages 'nonsense': 'nonsense' is no stage"),
        ({"recipes": ()}, "--recipes is empty"),
        ({"size": 100}, "--size 100 is not a multiple of 32"),
        ({"steps": 1, "recipes": ("action",)}, "1 steps for 3 stages"),
        ({"fractions": "0"}, "--fractions '0'"),
        ({"data": ()}, "--data is missing"),
    ],
)
def test_what_cannot_be_compared_is_told(tmp_path, changes, text):
    with pytest.raises(UserError, match=text):
        check_comparison(replace(config_of(tmp_path, tmp_path / "t.json"), **changes))


# -- scores --------------------------------------------------------------------------------------


def scored(found, truth, classes=2):
    image = LabelledImage("a", "a", np.zeros((*truth.shape, 3), np.uint8), truth)
    return score_image(found, image, classes)


def test_scores_are_those_of_the_equations():
    """As this verb computed them before it shared `score_mask`."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        found, truth = rng.integers(0, 3, (2, 20, 30), dtype=np.uint8)
        row = scored(found, truth)
        for number in (1, 2):
            a, b = found == number, truth == number
            due = surface_distances(a, b, (1.0, 1.0))
            assert row["dsc"][number - 1] == 2 * (a & b).sum() / (a.sum() + b.sum())
            assert (row["asd"][number - 1], row["hd95"][number - 1]) == (due.asd, due.hd95)


def test_nothing_flatters_where_something_is_empty():
    """There, an invention has a Dice of 1 and what is missed a distance of 0."""
    empty = np.zeros((20, 30), np.uint8)
    some = empty.copy()
    some[5:9, 5:9] = 1
    far = diagonal(some.shape, (1.0, 1.0))
    assert scored(empty, empty, 1) == {"dsc": [None], "asd": [None], "hd95": [None]}
    assert scored(some, empty, 1) == {"dsc": [0.0], "asd": [None], "hd95": [None]}
    assert scored(empty, some, 1) == {"dsc": [0.0], "asd": [far], "hd95": [far]}
    assert scored(some, some, 1) == {"dsc": [1.0], "asd": [0.0], "hd95": [0.0]}


def test_the_journal_holds_scores_in_its_one_form():
    """Measures one after the other, -1 for none, five digits: as journals that lie on disks."""
    scores = {
        "dsc": [[0.1234567, None], [1.0, 0.0]],
        "asd": [[2.0, None], [0.5, 3.0]],
        "hd95": [[4.0, None], [1.5, 36.0]],
    }
    packed = work._packed(scores)
    assert packed == [[0.12346, -1.0, 2.0, -1.0, 4.0, -1.0], [1.0, 0.0, 0.5, 3.0, 1.5, 36.0]]
    scores["dsc"][0][0] = 0.12346
    assert work._unpacked(json.loads(json.dumps(packed)), 2) == scores


def run_of(dsc, *, recipe="supervised", seed=1, percent=5):
    scores = dict.fromkeys(("dsc", "asd", "hd95"), dsc)
    return RecipeRun(recipe, "teacher", percent, 1, seed, scores)


def test_means_leave_out_what_has_no_score():
    """Over images, then over classes."""
    run = run_of([[1.0, None], [0.5, None], [None, 0.2]])
    assert run.mean("dsc", 0) == 0.75
    assert run.mean("dsc", 1) == 0.2
    assert run.mean("dsc", None) == pytest.approx((0.75 + 0.2) / 2)
    run = run_of([[1.0, None], [0.5, None]])
    assert math.isnan(run.mean("dsc", 1))
    assert run.mean("dsc", None) == 0.75


def table_of(runs, classes=("a", "b"), recipes=("supervised",)):
    settings = {"recipes": list(recipes), "percents": [5], "keep": "teacher", "seeds": 3}
    settings |= {"start": "random", "steps": 2, "batch": 2, "size": 64}
    one = ComparedSet("x|y", classes, ("t",), ("u",), 1, (1,) * len(classes), tuple(runs))
    return ComparisonReport(settings, (one,))


def test_a_cell_is_the_mean_and_spread_over_seeds():
    values = (0.5, 0.6, 0.7)
    rows = table_of([run_of([[v, None]], seed=n) for n, v in enumerate(values)]).rows("dsc")
    assert rows[0] == ("x/y", "mean", "1", "5", "0.600 ± 0.100")
    assert rows[1] == ("x/y", "a", "1", "5", "0.600 ± 0.100")
    assert rows[2] == ("x/y", "b", "1", "5", "-")


def test_a_cell_says_how_many_seeds_have_a_score():
    rows = table_of([run_of([[v, 0.5]], seed=n) for n, v in enumerate((0.5, None))]).rows("dsc")
    assert rows[1][-1] == "0.500 (1 of 2)"
    one = table_of([run_of([[0.25]])], classes=("a",))
    assert one.rows("asd") == [("x/y", "a", "1", "5", "0.2")]
    assert "mean ± standard deviation over 3 seeds" in one.footnote()


def test_recipes_are_set_beside_masks_alone_seed_by_seed():
    """Only seeds that both have count, and smaller distances are better."""
    alone, other = (0.5, 0.75, 0.25, 0.9), (0.75, 0.5, None, 0.9)
    runs = [run_of([[v]], seed=n) for n, v in enumerate(alone)]
    runs += [run_of([[v]], seed=n, recipe="action") for n, v in reversed(list(enumerate(other)))]
    runs += [run_of([[0.125]], seed=2, recipe="mean-teacher")]
    recipes = ("action", "supervised", "mean-teacher")
    lines = table_of(runs, ("a",), recipes).paired()
    assert lines[0].startswith("Better than supervised by")
    assert lines[2].endswith("| % | action | mean-teacher |")
    assert lines[4] == "| x/y | DSC | 1 | 5 | +0.000 ± 0.250 (1 of 3) | -0.125 (0 of 1) |"
    assert lines[5] == "| x/y | ASD, pixels | 1 | 5 | +0.0 ± 0.2 (1 of 3) | +0.1 (1 of 1) |"
    assert table_of(runs, ("a",)).paired() == []
    assert "Better than action by" in "\n".join(table_of(runs, ("a",), ("action", "x")).paired())
