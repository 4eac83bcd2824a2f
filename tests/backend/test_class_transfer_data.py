"""Pictures with classes: what is read, what is never split, and which are labelled."""

import shutil

import numpy as np
import pytest
from autoencoder_world import make_folder, picture
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.class_transfer_data import (
    labelled_parts,
    read_class_set,
    split_by_class,
)


@pytest.fixture
def kinds(tmp_path):
    """Discs and stripes, six of each."""
    return make_folder(tmp_path / "made" / "kinds", 12)


def test_every_class_is_in_both_parts_and_groups_are_never_split():
    labels = np.array([0] * 20 + [1] * 4 + [2] * 30)
    groups = [f"g{place // 2}" for place in range(54)]
    train, test = split_by_class(labels, groups, "abc", 0.3, 1)
    assert sorted([*train, *test]) == list(range(54))
    assert not {groups[place] for place in train} & {groups[place] for place in test}
    assert np.bincount(labels[test]).tolist() == [6, 2, 8]
    other, _ = split_by_class(labels, groups, "abc", 0.3, 2)
    assert train.tolist() != other.tolist()


def test_a_class_of_one_group_is_told():
    with pytest.raises(UserError, match="Class 'b' has too few groups of pictures"):
        split_by_class(np.array([0, 0, 1, 1]), ["p", "q", "r", "r"], "ab", 0.3, 1)


def test_parts_of_labels_are_nested_and_have_every_class():
    labels = np.repeat([0, 1, 2], [90, 40, 2])
    parts = labelled_parts(labels, (1, 10, 100), 1)
    assert [np.bincount(labels[list(parts[p])]).tolist() for p in (1, 10, 100)] == [
        [1, 1, 1],
        [9, 4, 1],
        [90, 40, 2],
    ]
    assert set(parts[1]) < set(parts[10]) < set(parts[100])
    assert parts[10] != labelled_parts(labels, (10,), 2)[10]


def test_the_groups_of_a_table_are_heeded(kinds, tmp_path):
    folder = shutil.copytree(kinds, tmp_path / "kinds")
    names = read_class_set(folder, 32, 0.3, 1).names
    lines = [f"{name},{'ab'[number % 2]}-{name[0]}" for number, name in enumerate(names)]
    (folder / "groups.csv").write_text("image,group\n" + "\n".join(lines) + "\n")
    known = read_class_set(folder, 32, 0.3, 1)
    groups = dict(line.split(",") for line in lines)
    parts = [{groups[known.names[place]] for place in part} for part in (known.train, known.test)]
    assert [len(part) for part in parts] == [2, 2]
    assert not parts[0] & parts[1]
    (folder / "groups.csv").write_text("image,group\n" + lines[0] + "\n")
    with pytest.raises(UserError, match=f"names no group of '{names[1]}'"):
        read_class_set(folder, 32, 0.3, 1)
    (folder / "groups.csv").write_text("picture,group\n")
    with pytest.raises(UserError, match="has the columns picture, group; due are image and group"):
        read_class_set(folder, 32, 0.3, 1)


def test_pictures_are_squares_and_bad_ones_are_told(kinds, tmp_path):
    folder = shutil.copytree(kinds, tmp_path / "kinds")
    (folder / "odd" / "bad.png").write_bytes(b"nothing")
    Image.fromarray(picture(1)[:20]).save(folder / "odd" / "1.png")
    known = read_class_set(folder, 32, 0.3, 1)
    assert known.pixels.shape == (12, 32, 32, 3)
    assert known.classes == ("even", "odd")
    assert known.failures[0][0] == "bad.png"
    assert known.digest() != read_class_set(kinds, 32, 0.3, 1).digest()


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ((), "holds no readable image"),
        (("a/1", "a/2"), "holds pictures of 1 class; at least 2 are due"),
        (("a/1", "b/1", "1"), "'1.png' lies in .* itself, and so has no class"),
    ],
)
def test_folders_without_classes_are_told(tmp_path, names, text):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(picture(1)).save(tmp_path / f"{name}.png")
    with pytest.raises(UserError, match=text):
        read_class_set(tmp_path, 32, 0.3, 1)
