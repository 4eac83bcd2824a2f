"""Landmarks of a set: states, undo, what is never overwritten, the disk, the queue, templates."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from napari_medssl._errors import UserError
from napari_medssl.io.landmarks import (
    ImageLandmarks,
    Landmark,
    LandmarkFile,
    SliceGrid,
    read_landmarks,
)
from napari_medssl.state.landmark_exchange import export_landmarks, image_landmarks, plan_import
from napari_medssl.state.landmark_folder import LandmarkFolder
from napari_medssl.state.landmark_items import LandmarkImage, LandmarkName, Point, item_to_row
from napari_medssl.state.landmark_queue import (
    image_uncertainty,
    next_point,
    progress,
    ranked_points,
    uncertainty,
)
from napari_medssl.state.landmark_templates import (
    apply_template,
    list_templates,
    load_template,
    save_template,
)
from napari_medssl.state.landmarks import LandmarkStore, Proposal


def make_store(images: int = 3, names: str = "AB") -> LandmarkStore:
    store = LandmarkStore()
    store.add_images([LandmarkImage(f"{n}.png", f"/data/{n}.png", 100, 80) for n in range(images)])
    for name in names:
        store.add_name(name)
    return store


@pytest.fixture
def store():
    return make_store()


def found(x=5.0, y=6.0, score=0.8):
    return Proposal(x, y, score)


# -- states ------------------------------------------------------------------------------------


def test_a_placed_point_is_confirmed_and_undo_takes_it_back(store):
    image, name = store.images()[0], store.names()[0]
    store.place(image, name, 10, 20, is_template=True)
    point = store.point(image, name)
    assert (point.state, point.place, point.score, point.is_template) == (
        "confirmed", (10, 20), None, True
    )  # fmt: skip
    assert store.templates(name) == (point,)
    store.undo()
    assert store.point(image, name) == Point(image, name)
    store.redo()
    assert store.point(image, name) == point


def test_a_place_beyond_the_image_is_brought_into_it(store):
    image, name = store.images()[0], store.names()[0]
    store.place(image, name, -9, 500)
    assert store.point(image, name).place == (-0.5, 79.5)


@pytest.mark.parametrize("how", ["confirm", "place", "absent", "lock", "pick"])
def test_the_program_never_touches_what_a_person_made(store, how):
    image, name = store.images()[1], store.names()[0]
    pair = (image, name)
    store.propose({pair: found()})
    if how == "confirm":
        assert store.confirm([pair]) == 1
    elif how == "place":
        store.place(*pair, 1, 2)
    elif how == "absent":
        store.set_absent([pair])
    elif how == "lock":
        store.set_locked([pair], True)
    else:
        store.pick(*pair, found(50, 50, 0.3))
    before = store.point(*pair)
    assert before.is_by_person
    assert store.propose({pair: found(70, 70, 0.99)}) == 0
    assert store.forget_found(name) == 0
    assert store.point(*pair) == before


def test_proposals_are_no_steps_of_the_history(store):
    image, name = store.images()[1], store.names()[0]
    steps = len(store.history)
    assert store.propose({(image, name): found()}) == 1
    assert store.point(image, name).state == "found"
    assert store.propose({(image, name): Proposal(None, None, 0.1)}) == 1
    assert (store.point(image, name).state, store.point(image, name).score) == ("absent", 0.1)
    assert not store.point(image, name).is_decided
    assert store.forget_found(name) == 1
    assert store.point(image, name).state == "undefined"
    assert len(store.history) == steps


def test_undo_of_a_correction_gives_back_what_was_found(store):
    pair = (store.images()[1], store.names()[0])
    store.propose({pair: found()})
    store.place(*pair, 30, 30)
    store.undo()
    assert store.point(*pair).state == "found"
    store.propose({pair: found(8, 8)})  # the same point, not a second one
    assert store.point(*pair).place == (8, 8)
    assert sum(isinstance(item, Point) for item in store.as_dict().values()) == 1


def test_undo_of_an_import_never_leaves_a_point_twice(store, tmp_path):
    one, a = store.images()[0], store.names()[0]
    table = tmp_path / "points.csv"
    table.write_text("image,label,x,y\n0.png,A,9,9\n0.png,New,8,8\n")
    plan_import(store, read_landmarks(table)).apply(store)
    store.undo()
    assert store.find_name("New") is None
    assert store.point(one, a).state == "undefined"
    store.propose({(one, a): found()})
    store.redo()
    assert store.point(one, a).place == (9, 9)
    assert store.point(one, store.find_name("New")).place == (8, 8)
    pairs = [(p.image, p.name) for p in store.as_dict().values() if isinstance(p, Point)]
    assert len(pairs) == len(set(pairs)) == 2


def test_locked_points_refuse_a_person_too(store):
    pair = (store.images()[0], store.names()[0])
    store.place(*pair, 1, 1)
    store.set_locked([pair], True)
    for act in (
        lambda: store.place(*pair, 2, 2),
        lambda: store.set_absent([pair]),
        lambda: store.clear([pair]),
        lambda: store.pick(*pair, found()),
    ):
        with pytest.raises(UserError, match=r"'A' is locked in '0.png'. Unlock it first"):
            act()
    store.set_locked([pair], False)
    assert store.point(*pair).state == "confirmed"
    with pytest.raises(UserError, match="nothing to lock"):
        store.set_locked([(store.images()[1], store.names()[1])], True)


def test_only_a_person_s_point_becomes_a_template(store):
    pair = (store.images()[1], store.names()[0])
    store.propose({pair: found()})
    with pytest.raises(UserError, match="Confirm it first"):
        store.set_template(*pair, True)
    store.confirm([pair])
    store.set_template(*pair, True)
    assert [p.image for p in store.templates(pair[1])] == [pair[0]]
    store.set_template(*pair, False)
    assert store.templates(pair[1]) == ()


def test_images_and_landmarks_go_with_their_points_and_come_back(store):
    image, name = store.images()[0], store.names()[0]
    store.place(image, name, 1, 1)
    before = store.as_dict()
    store.remove_name(name)
    assert all(not isinstance(item, Point) for item in store.as_dict().values())
    store.undo()
    assert store.as_dict() == before
    store.remove_images([image])
    assert store.images() == (2, 3)
    store.undo()
    assert store.as_dict() == before
    assert store.propose({(99, name): found()}) == 0


def test_names_are_ordered_and_unique(store):
    third = store.add_name("C", description="the third")
    store.move_name(third, -2)
    assert [store.name(key).name for key in store.names()] == ["C", "A", "B"]
    with pytest.raises(UserError, match="There is a landmark 'A' already"):
        store.rename(third, "A")
    with pytest.raises(UserError, match="needs a name"):
        store.add_name("  ")
    colors = {store.name(key).color for key in store.names()}
    assert len(colors) == 3


def test_images_of_one_name_are_told_apart():
    store = LandmarkStore()
    places = ["/a/x.png", "/b/x.png", "/b/x.png", "/c/b/x.png"]
    store.add_images([LandmarkImage("x.png", place) for place in places])
    assert [store.image(key).name for key in store.images()] == ["x.png", "b/x.png", "b/x.png (2)"]


def test_copied_points_are_scaled_and_never_overwrite_unasked(store):
    first, second, third = store.images()
    a, b = store.names()
    store.note_size(third, 200, 160)
    store.place(first, a, 10, 20)
    store.place(first, b, 30, 40)
    assert store.put(store.copied(first, second), "paste") == 2
    assert store.point(second, a).place == (10, 20)
    scaled = store.copied(first, third)
    assert scaled[0].place == (20.5, 40.5)
    store.place(third, a, 5, 5)
    store.set_locked([(third, b)], False)
    assert store.conflicts(scaled) == ((third, a),)
    assert store.put(scaled, "paste") == 1
    assert store.point(third, a).place == (5, 5)
    assert store.put(scaled, "paste", overwrite=True) == 2
    assert store.point(third, a).place == (20.5, 40.5)
    store.undo()
    assert store.point(third, a).place == (5, 5)


# -- queue ---------------------------------------------------------------------------------------


def test_the_least_certain_point_comes_first(store):
    one, two, three = store.images()
    a, b = store.names()
    store.propose({(one, a): found(score=0.9), (two, a): found(score=0.2)})
    store.propose({(three, a): Proposal(None, None, 0.1)})
    assert ranked_points(store)[:3] == [(two, a), (three, a), (one, a)]
    assert next_point(store, None) == (two, a)
    assert next_point(store, (two, a)) == (three, a)
    assert next_point(store, (two, a), -1) == (three, b)
    store.confirm([(two, a)])
    assert next_point(store, (two, a)) == (three, a)
    assert uncertainty(store.point(two, a)) == 0
    assert image_uncertainty(store, one) == pytest.approx(1.1)
    told = progress(store)
    assert (told.total, told.decided, told.found) == (6, 1, 2)
    assert told.text == "1 of 6 points checked (16 %), 2 to check"
    for image in store.images():
        for name in store.names():
            store.place(image, name, 1, 1)
    assert next_point(store, None) is None


# -- disk ----------------------------------------------------------------------------------------


def test_what_is_added_up_follows_every_change(store):
    """Against a count of all points, after changes of every kind, undo and redo."""
    one, other = store.images()[:2]
    a, b = store.names()[:2]

    def check():
        for image in store.images():
            points = [store.point(image, name) for name in store.names()]
            assert store.points_of(image) == tuple(points)
            assert image_uncertainty(store, image) == sum(map(uncertainty, points))
        told = progress(store)
        points = [store.point(i, n) for i in store.images() for n in store.names()]
        assert told.total == len(points)
        assert told.decided == sum(point.is_decided for point in points)

    check()
    for change in (
        lambda: store.place(one, a, 1, 1, is_template=True),
        lambda: store.propose({(other, a): Proposal(3, 3, 0.4), (other, b): Proposal(1, 1, 0.9)}),
        lambda: store.confirm([(other, a)]),
        lambda: store.add_name("late"),
        lambda: store.move_name(a, 1),
        lambda: store.remove_name(b),
        lambda: store.remove_images([one]),
        store.undo,
        store.undo,
        store.redo,
        lambda: store.forget_found(a),
    ):
        change()
        check()


def test_a_set_is_the_same_after_it_was_closed(tmp_path):
    with LandmarkFolder.open(tmp_path / "set.landmarks") as opened:
        store = opened.store
        store.add_images([LandmarkImage("a.png", "/a.png", 10, 10, (0.1, 0.2))])
        name = store.add_name("Nasion", (1, 2, 3), "the deepest point")
        store.place(1, name, 1 / 3, 2 / 3, is_template=True)
        opened.remember(template="skull 2", measurements=("d = distance A B",), model="m")
        items = store.as_dict()
    with LandmarkFolder.open(tmp_path / "set.landmarks") as opened:
        assert opened.store.as_dict() == items
        assert (opened.template, opened.model) == ("skull 2", "m")
        assert opened.measurements == ("d = distance A B",)
        opened.store.undo()
        assert opened.store.point(1, name).state == "undefined"


CHILD = """
import os, sys
from napari_medssl.state.landmark_folder import LandmarkFolder
from napari_medssl.state.landmark_items import LandmarkImage
from napari_medssl.state.landmarks import Proposal
opened = LandmarkFolder.open(sys.argv[1])
store = opened.store
store.add_images([LandmarkImage(f"{n}.png", f"/{n}.png") for n in range(2)])
name = store.add_name("A")
store.place(1, name, 3, 4, is_template=True)
store.propose({(2, name): Proposal(5.5, 6.5, 0.7)})
store.place(1, name, 7, 8)
store.undo()
opened.remember(template="t 1")
assert opened.flush()
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_kill_9_keeps_every_edit_and_note(tmp_path):
    folder = tmp_path / "set.landmarks"
    child = subprocess.run([sys.executable, "-c", CHILD, str(folder)], check=False)
    assert child.returncode == -9
    with LandmarkFolder.open(folder) as opened:
        store = opened.store
        (name,) = store.names()
        assert store.point(1, name).place == (3, 4)
        assert store.point(1, name).is_template
        assert store.point(2, name) == Point(2, name, "found", 5.5, 6.5, 0.7)
        assert opened.template == "t 1"
        store.redo()
        assert store.point(1, name).place == (7, 8)
        for _ in range(4):
            store.undo()
        assert store.images() == ()


def test_a_copy_has_its_own_pictures(tmp_path):
    with LandmarkFolder.open(tmp_path / "set.landmarks") as opened:
        own = opened.folder / "images" / "layer.png"
        own.parent.mkdir()
        own.write_bytes(b"picture")
        opened.store.add_images([LandmarkImage("layer", str(own)), LandmarkImage("b", "/b.png")])
        opened.save_copy(tmp_path / "copy.landmarks")
        with pytest.raises(UserError, match="something at"):
            opened.save_copy(tmp_path / "copy.landmarks")
    with LandmarkFolder.open(tmp_path / "copy.landmarks") as copy:
        sources = [Path(copy.store.image(key).source) for key in copy.store.images()]
        assert sources == [tmp_path / "copy.landmarks" / "images" / "layer.png", Path("/b.png")]
        assert sources[0].read_bytes() == b"picture"


def test_another_folder_is_refused(tmp_path):
    (tmp_path / "something").write_text("else")
    with pytest.raises(UserError, match="no set of landmarks"):
        LandmarkFolder.open(tmp_path)


def test_rows_of_what_is_no_item_are_refused():
    from napari_medssl.state.landmark_items import item_from_row

    item = LandmarkName("A", (1, 2, 3))
    assert item_from_row(item_to_row(item)) == item
    for row, words in (
        (["point", 1, 2, "found", None, None, 0.5, False, False, True], "has no place"),
        (["point", 1, 2, "guessed", 1, 1, None, False, False, True], "is none of"),
        (["point", 1, 2, "absent", None, None, None, True, False, True], "is no template"),
        (["name", "", [1, 2, 3], "", 0], "is empty"),
        (["name", "A", [1, 2, 300], "", 0], "colour"),
        (["image", "", "/x", 1, 1, None], "is empty"),
        (["star"], "a row is"),
    ):
        with pytest.raises(ValueError, match=words):
            item_from_row(row)


# -- templates -----------------------------------------------------------------------------------


def test_templates_are_kept_in_versions_and_used_again(tmp_path):
    names = [LandmarkName("S", (1, 1, 1), "sella"), LandmarkName("N", (2, 2, 2))]
    assert save_template("skull", names, ["SN = distance S N"], tmp_path).title == "skull 1"
    assert save_template("skull", names, ["SN = distance S N"], tmp_path).version == 1
    assert save_template("skull", names[::-1], (), tmp_path).version == 2
    assert list_templates(tmp_path) == [("skull", 2), ("skull", 1)]
    first = load_template("skull", 1, tmp_path)
    assert [item.name for item in first.landmarks] == ["S", "N"]
    assert first.landmarks[0].description == "sella"
    assert first.measurements == ("SN = distance S N",)
    assert load_template("skull", folder=tmp_path).version == 2

    store = make_store(names="XN")
    store.place(store.images()[0], store.find_name("N"), 3, 3)
    assert apply_template(store, first) == 1
    assert [store.name(key).name for key in store.names()] == ["S", "N", "X"]
    assert store.point(store.images()[0], store.find_name("N")).place == (3, 3)
    store.undo()
    assert [store.name(key).name for key in store.names()] == ["X", "N"]


def test_bad_templates_are_refused(tmp_path):
    with pytest.raises(UserError, match="cannot name a template"):
        save_template("a/b", [LandmarkName("A", (1, 1, 1))], (), tmp_path)
    with pytest.raises(UserError, match="no landmarks yet"):
        save_template("a", [], (), tmp_path)
    with pytest.raises(UserError, match=r"no template 'z'. Choose one of those there: none yet"):
        load_template("z", folder=tmp_path)
    for text in ("[]", "{}", '{"format": "napari-medssl landmark template", "name": "a"}'):
        (tmp_path / "a.1.json").write_text(text)
        with pytest.raises(UserError, match="no template of landmarks"):
            load_template("a", 1, tmp_path)


# -- files of other tools ------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_what_was_exported_comes_back(store, tmp_path, suffix):
    one, two, three = store.images()
    a, b = store.names()
    store.set_spacing([one], (0.5, 0.25))
    store.place(one, a, 1.25, 2.5)
    store.propose({(two, a): found(7.75, 8.125, 0.5)})
    store.set_absent([(three, a)])
    store.place(one, b, 3, 4)
    store.set_locked([(one, b)], True)
    path = tmp_path / f"points{suffix}"
    export_landmarks(store, path)
    other = make_store(names="")
    plan = plan_import(other, read_landmarks(path))
    assert plan.conflicts(other) == ()
    assert plan.apply(other) == 4
    assert [image.landmarks for image in image_landmarks(other)] == [
        image.landmarks for image in image_landmarks(store)
    ]
    other.undo()
    assert other.names() == ()


def test_an_import_overwrites_only_when_it_may(store, tmp_path):
    one, a = store.images()[0], store.names()[0]
    store.place(one, a, 1, 1)
    table = tmp_path / "points.csv"
    table.write_text("image,label,x,y\n0.png,A,9,9\n0.png,B,8,8\nother.png,A,1,1\n")
    plan = plan_import(store, read_landmarks(table))
    assert plan.strangers == ("other.png",)
    assert plan.conflicts(store) == ((one, a),)
    assert plan.apply(store) == 1
    assert store.point(one, a).place == (1, 1)
    assert plan.apply(store, overwrite=True) == 2
    assert store.point(one, a).place == (9, 9)


def test_an_import_leaves_templates_what_they_are(store, tmp_path):
    one, a = store.images()[0], store.names()[0]
    store.place(one, a, 1, 1, is_template=True)
    path = tmp_path / "points.csv"
    export_landmarks(store, path)
    before = store.point(one, a)
    assert plan_import(store, read_landmarks(path)).apply(store) == 1
    assert store.point(one, a) == before
    path.write_text("image,label,x,y\n0.png,A,9,9\n")
    plan_import(store, read_landmarks(path)).apply(store, overwrite=True)
    assert (store.point(one, a).place, store.point(one, a).is_template) == ((9, 9), True)
    path.write_text("image,label,x,y\n0.png,A,,\n")
    plan_import(store, read_landmarks(path)).apply(store, overwrite=True)
    assert (store.point(one, a).state, store.point(one, a).is_template) == ("absent", False)


def test_images_are_told_by_file_name_and_without_suffix(store):
    marks = (Landmark("A", 1.0, 1.0),)
    listed = tuple(ImageLandmarks(n, marks) for n in ("labelled\\0.png", "1", "2.tif"))
    plan = plan_import(store, LandmarkFile(listed, "csv", path=Path("x.csv")))
    assert [key for key, _ in plan.points] == list(store.images())
    with pytest.raises(UserError, match=r"about the images that are open: it is about 'z.png'"):
        plan_import(store, LandmarkFile((ImageLandmarks("z.png", marks),), "csv", path=Path("x")))


@pytest.mark.parametrize(
    "name", ["slicer/afids_MNI152.mrk.json", "deeplabcut/CollectedData_Mackenzie.csv"]
)
def test_files_of_other_tools_are_taken_in(data_dir, name):
    file = read_landmarks(data_dir / "interop" / name, grid=SliceGrid(thickness_mm=500.0))
    store = LandmarkStore()
    store.add_images(
        [LandmarkImage(i.image or "one", f"/data/{i.image or 'one'}") for i in file.images]
    )
    plan = plan_import(store, file, store.images()[0])
    assert plan.apply(store) == sum(
        mark.state != "undefined" for image in file.images for mark in image.landmarks
    )
