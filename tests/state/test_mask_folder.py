"""Masks on disk: what was painted survives a kill, files are written anew only by `save`."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.io.class_files import class_png, read_class_file
from napari_medssl.io.files import write_whole
from napari_medssl.state.mask_classes import MaskClass
from napari_medssl.state.mask_folder import MaskFolder
from napari_medssl.state.mask_items import MaskImage, item_from_row, item_to_row
from napari_medssl.state.project_files import ProjectDamagedError

SIZE = (20, 30)


def begin(place):
    folder = MaskFolder.open(place)
    (key,) = folder.store.add_images([MaskImage("a.png", "/eyes/a.png", 30, 20)])
    return folder, key


def made(folder, key, value=1):
    """Let the program make a mask, as the widget does."""
    mask = np.zeros(SIZE, np.uint8)
    mask[5:9, 5:20] = value
    name = folder.new_mask_name(key)
    write_whole(folder.mask_place(name), class_png(mask))
    folder.use_mask(key, name, mask, model="vessels", classes=("vessel",))
    return mask


def killed(folder, place):
    """Return what another process finds after this one was killed."""
    assert folder.flush()
    shutil.copytree(folder.folder, place, ignore=shutil.ignore_patterns("lock"))
    return MaskFolder.open(place)


def test_strokes_survive_a_kill_without_a_save(tmp_path):
    folder, key = begin(tmp_path / "set.masks")
    folder.hold(key, np.zeros(SIZE, np.uint8))
    painted = np.zeros(SIZE, np.uint8)
    painted[3:6, 4:9] = 1
    assert folder.take_in(key, painted)
    painted[10, 20] = 7
    painted[3, 4] = 0
    assert folder.take_in(key, painted)
    assert not folder.take_in(key, painted)
    with killed(folder, tmp_path / "other.masks") as found:
        item = found.store[key]
        assert (item.is_edited, item.has_mask) == (True, True)
        assert (read_class_file(found.mask_file(key)) == painted).all()
    folder.close()


def test_a_mask_of_the_program_and_strokes_on_it_survive_a_kill(tmp_path):
    folder, key = begin(tmp_path / "set.masks")
    mask = made(folder, key)
    assert not folder.store[key].is_edited
    folder.hold(key, mask)
    mask[0, :] = 2
    folder.take_in(key, mask)
    with killed(folder, tmp_path / "one.masks") as found:
        assert (read_class_file(found.mask_file(key)) == mask).all()
        assert found.store[key].is_edited
        assert found.store[key].classes == ("vessel",)
    fresh = made(folder, key, 3)  # replaced after a question: the strokes are gone
    with killed(folder, tmp_path / "two.masks") as found:
        assert (read_class_file(found.mask_file(key)) == fresh).all()
        assert not found.store[key].is_edited
        assert found.held(key) is None
    folder.close()


def test_classes_survive_a_kill_and_a_save(tmp_path):
    folder, key = begin(tmp_path / "set.masks")
    made(folder, key)
    assert folder.classes == {1: MaskClass("vessel", of="vessel")}
    mine = {**folder.classes, 2: MaskClass("drusen", "#ff8800")}
    folder.remember(classes=mine, model="vessels")
    with killed(folder, tmp_path / "other.masks") as found:
        assert (found.classes, found.model) == (mine, "vessels")
    folder.close()
    with MaskFolder.open(folder.folder) as again:
        assert (again.classes, again.model) == (mine, "vessels")


def test_a_set_of_before_classes_could_be_added_is_read(tmp_path):
    folder, key = begin(tmp_path / "set.masks")
    folder.close()
    file = folder.folder / "masks.jsonl"
    text = file.read_text("utf-8")
    assert ', "classes": []' in text or ',"classes":[]' in text
    file.write_text(text.replace(',"classes":[]', "").replace(', "classes": []', ""), "utf-8")
    with MaskFolder.open(folder.folder) as again:
        assert again.classes == {}
        assert key in again.store


def test_a_stroke_whose_note_was_not_written_any_more_counts_as_edited(tmp_path):
    """A kill may come between the line of the stroke and the one that says who painted."""
    folder, key = begin(tmp_path / "set.masks")
    mask = made(folder, key)
    folder.hold(key, mask)
    mask[0, 0] = 1
    folder.take_in(key, mask)
    folder.flush()
    other = tmp_path / "other.masks"
    shutil.copytree(folder.folder, other, ignore=shutil.ignore_patterns("lock"))
    journal = other / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert b'"patch"' in lines[-2]
    journal.write_bytes(b"".join(lines[:-1]))
    with MaskFolder.open(other) as found:
        assert found.store[key].is_edited
        assert (read_class_file(found.mask_file(key)) == mask).all()
    folder.close()


def test_save_writes_edited_masks_anew_and_drops_what_nothing_needs(tmp_path):
    folder, key = begin(tmp_path / "set.masks")
    mask = made(folder, key)
    former = folder.mask_file(key)
    folder.hold(key, mask)
    mask[19, 29] = 1
    folder.take_in(key, mask)
    assert (read_class_file(former) != mask).any()
    reserved = folder.new_mask_name(key)
    write_whole(folder.mask_place(reserved), class_png(mask))
    folder.save()
    assert not former.exists()
    assert folder.mask_place(reserved).exists()  # a job is about to hand it over
    assert (read_class_file(folder.mask_file(key)) == mask).all()
    assert not (folder.folder / "journal.jsonl").read_bytes()
    folder.close()
    with MaskFolder.open(folder.folder) as again:
        assert (read_class_file(again.mask_file(key)) == mask).all()
        assert again.store[key].model == "vessels"


def test_what_is_shown_no_more_is_let_go_but_not_edits(tmp_path):
    folder, key = begin(tmp_path / "set.masks")
    mask = made(folder, key)
    folder.hold(key, mask)
    folder.release(key)
    assert folder.held(key) is None
    folder.hold(key, mask)
    folder.take_in(key, mask + 1)
    folder.release(key)
    assert (folder.held(key) == mask + 1).all()
    folder.close()


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((5, 5), np.uint8), r"has the shape \(5, 5\) now; due is \(20, 30\)"),
        (np.full(SIZE, 300), "has class numbers of 300 to 300; due are 0 to 255"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(tmp_path, pixels, words):
    folder, key = begin(tmp_path / "set.masks")
    folder.hold(key, np.zeros(SIZE, np.uint8))
    with pytest.raises(UserError, match=words):
        folder.take_in(key, pixels)
    assert not folder.store[key].is_edited
    folder.close()


def test_a_patch_without_its_mask_is_told_as_damage(tmp_path):
    folder, key = begin(tmp_path / "set.masks")
    mask = made(folder, key)
    folder.hold(key, mask)
    folder.take_in(key, mask + 1)
    folder.flush()
    other = tmp_path / "other.masks"
    shutil.copytree(folder.folder, other, ignore=shutil.ignore_patterns("lock"))
    next((other / "masks").iterdir()).write_bytes(b"no picture")
    with pytest.raises(ProjectDamagedError):
        MaskFolder.open(other)
    with MaskFolder.open(other, repair=True) as repaired:
        assert repaired.store[key].name == "a.png"
    folder.close()


def test_a_copy_has_masks_and_pictures_of_its_own(tmp_path):
    folder, key = begin(tmp_path / "set.masks")
    mask = made(folder, key)
    picture = folder.folder / "images" / "layer.png"
    picture.parent.mkdir()
    Image.fromarray(mask).save(picture)
    (other,) = folder.store.add_images([MaskImage("layer", str(picture))])
    folder.remember(model="vessels")
    folder.save_copy(tmp_path / "copy.masks")
    with MaskFolder.open(tmp_path / "copy.masks") as copy:
        assert copy.store[other].source == str(copy.folder / "images" / "layer.png")
        assert (read_class_file(copy.mask_file(key)) == mask).all()
        assert copy.model == "vessels"
    with pytest.raises(UserError, match="something at"):
        folder.save_copy(tmp_path / "copy.masks")
    folder.close()


def test_an_image_taken_off_takes_its_mask_along(tmp_path):
    folder, key = begin(tmp_path / "set.masks")
    made(folder, key)
    file = folder.mask_file(key)
    folder.remove_images([key])
    folder.close()
    assert not file.exists()
    with MaskFolder.open(folder.folder) as again:
        assert len(again.store) == 0


def test_images_of_one_name_are_told_apart_and_listed_once(tmp_path):
    with MaskFolder.open(tmp_path / "set.masks") as folder:
        images = [MaskImage("a.png", "/one/a.png"), MaskImage("a.png", "/two/a.png")]
        keys = folder.store.add_images([*images, images[0]])
        assert [folder.store[key].name for key in keys] == ["a.png", "two/a.png"]
        with pytest.raises(UserError, match="due is a size above 0"):
            folder.store.set_spacing(keys, (0.0, 1.0))


def test_how_a_mask_was_made_is_kept_and_sets_without_it_are_read(tmp_path):
    """Sets that were made before have rows without it."""
    item = MaskImage("a", "a.png", model="m", made_with='{"sha256": "1"}')
    assert item_from_row(item_to_row(item)) == item
    assert item_from_row(item_to_row(item)[:11]) == replace(item, made_with="")


def test_what_a_person_said_of_a_mask_survives_a_kill(tmp_path):
    folder, key = begin(tmp_path / "set.masks")
    mask = made(folder, key)
    folder.accept(key)
    assert (folder.store[key].is_label, folder.store[key].is_prediction) == (True, False)
    with killed(folder, tmp_path / "one.masks") as found:
        assert found.store[key].review == "accepted"
        assert (read_class_file(found.mask_file(key)) == mask).all()
    folder.accept(key, is_accepted=False)
    assert folder.store[key].is_prediction
    former = folder.reject(key)
    assert (folder.store[key].has_mask, folder.store[key].is_label) == (False, False)
    with killed(folder, tmp_path / "two.masks") as found:
        assert found.store[key].review == "rejected"
        assert found.mask_file(key) is None
    folder.save()  # the file stays as long as the mask may come back
    folder.restore(key, former)
    assert (read_class_file(folder.mask_file(key)) == mask).all()
    with killed(folder, tmp_path / "three.masks") as found:
        assert found.store[key].is_prediction
    folder.accept(key)
    folder.restore(key, folder.reject(key))
    with killed(folder, tmp_path / "four.masks") as found:
        assert found.store[key].review == "accepted"
    folder.close()


def test_painting_on_an_accepted_or_rejected_mask_makes_it_the_persons(tmp_path):
    folder, key = begin(tmp_path / "set.masks")
    mask = made(folder, key)
    folder.hold(key, mask)
    folder.reject(key)
    assert not folder.held(key).any()
    painted = np.zeros(SIZE, np.uint8)
    painted[0, 0] = 1
    folder.take_in(key, painted)
    with killed(folder, tmp_path / "other.masks") as found:
        assert (found.store[key].is_edited, found.store[key].review) == (True, "")
        assert (read_class_file(found.mask_file(key)) == painted).all()
    folder.close()


def test_a_set_of_before_masks_were_reviewed_is_read(tmp_path):
    row = ["a", "/a.png", 3, 2, None, [1, 1], [0, 0], "1-1.png", "m", ["v"], True]
    for known, due in (([], ("", "", None)), (["{}"], ("{}", "", None))):
        item = item_from_row([*row, *known])
        assert (item.made_with, item.review, item.uncertainty) == due
    whole = MaskImage("a", "/a.png", mask="1-1.png", review="accepted", uncertainty=0.25)
    assert item_from_row(item_to_row(whole)) == whole
    with pytest.raises(ValueError, match="nothing that a person says"):
        item_from_row([*row, "", "praised", None])


@pytest.mark.parametrize("review", ["none", "", "accepted", "rejected"])
def test_a_stroke_that_is_taken_back_was_none(tmp_path, review):
    """What a slip of the hand changed is not learnt from, and a model may replace the mask."""
    folder, key = begin(tmp_path / "set.masks")
    mask = np.zeros(SIZE, np.uint8) if review == "none" else made(folder, key)
    folder.hold(key, mask)
    if review == "rejected":
        folder.reject(key)
        mask = np.zeros(SIZE, np.uint8)
    elif review == "accepted":
        folder.accept(key)
    before = folder.store[key]
    slip = mask.copy()
    slip[2:12, 3:7] = 4
    slip[6, 8] = 0
    folder.take_in(key, slip)
    half = slip.copy()
    half[2:8] = mask[2:8]
    folder.take_in(key, half)
    assert folder.store[key].is_edited
    folder.take_in(key, mask)
    assert folder.store[key] == before
    with killed(folder, tmp_path / "one.masks") as found:
        assert found.store[key] == before
        file = found.mask_file(key)
        assert (file is None) == (review in ("none", "rejected"))
        assert file is None or (read_class_file(file) == mask).all()
    folder.take_in(key, slip)  # brought back again
    with killed(folder, tmp_path / "two.masks") as found:
        assert found.store[key].is_edited
        assert (read_class_file(found.mask_file(key)) == slip).all()
    folder.close()


def test_what_was_saved_as_edited_stays_edited(tmp_path):
    folder, key = begin(tmp_path / "set.masks")
    mask = made(folder, key)
    folder.hold(key, mask)
    painted = mask.copy()
    painted[0] = 2
    folder.take_in(key, painted)
    folder.save_copy(tmp_path / "copy.masks")
    folder.take_in(key, mask)
    assert folder.store[key].is_edited
    with killed(folder, tmp_path / "other.masks") as found:
        assert (read_class_file(found.mask_file(key)) == mask).all()
    folder.close()
