"""The one reader of `pairs.csv`: what its labels mean, and what is refused."""

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image
from scored_world import square, write_pair, write_table

from napari_medssl._errors import UserError
from napari_medssl.backend.labelled_folders import read_labelled
from napari_medssl.backend.segmentation_cases import plan_cases, read_case
from napari_medssl.backend.segmentation_data import read_pairs
from napari_medssl.backend.transfer_data import read_set
from napari_medssl.backend.truth_folders import read_truth_folder


def make_set(folder, masks, labels, more=(), columns=""):
    """Write masks as a set, with the labels of each and further columns."""
    rows = []
    for number, mask in enumerate(masks):
        write_pair(folder, f"{number}.png", mask > 0, mask)
        end = f",{more[number]}" if more else ""
        rows.append(f"{number}.png,{number}.png,g{number},{labels[number]}{end}")
    return write_table(folder, rows, "image,mask,group,labels" + columns)


def test_classes_are_the_union_of_what_masks_have(tmp_path):
    masks = [square(8, (1, 1)) + square(3, (9, 9)), square(4, (1, 1)), square(0, (1, 1))]
    table = read_pairs(make_set(tmp_path, masks, ["0|3|8", "0|4", "0"]))
    assert (table.values, table.classes, table.has_names) == ((3, 4, 8), ("3", "4", "8"), False)
    found = [table.read(pair)[1] for pair in table.pairs]
    assert [np.unique(one).tolist() for one in found] == [[0, 1, 3], [0, 2], [0]]
    assert (found[0] == 3).sum() == (masks[0] == 8).sum()


@pytest.mark.parametrize(("labels", "value"), [("8 instances", 300), ("0|255", 255), ("0|1", 1)])
def test_objects_and_single_values_are_foreground(tmp_path, labels, value):
    mask = square(1, (2, 3)).astype(np.uint16) * value
    mask = mask if value > 255 else mask.astype(np.uint8)
    table = read_pairs(make_set(tmp_path, [mask, mask], [labels] * 2))
    assert table.classes == ("foreground",)
    pixels, classes = table.read(table.pairs[0])
    assert (classes == (mask > 0)).all()
    assert pixels.shape == (*mask.shape, 3)


MANY = np.zeros((24, 32), np.uint16)
MANY.ravel()[: 2 * 300 : 2] = np.arange(1, 301)


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize(
    "write",
    [
        lambda path: Image.fromarray(MANY).save(path.with_suffix(".png")),
        lambda path: tifffile.imwrite(path.with_suffix(".tif"), MANY, compression="zlib"),
        lambda path: tifffile.imwrite(path.with_suffix(".tif"), MANY.astype(np.uint32)),
        lambda path: tifffile.imwrite(path.with_suffix(".tif"), MANY.astype(np.int64)),
        lambda path: tifffile.imwrite(path.with_suffix(".tif"), MANY.astype(np.float32)),
        lambda path: nibabel.Nifti1Image(MANY.T[..., None], np.eye(4)).to_filename(
            path.with_suffix(".nii.gz")
        ),
    ],
    ids=["png", "tiff", "uint32", "int64", "float", "nifti"],
)
def test_more_than_255_objects_are_foreground_for_training_and_scoring(tmp_path, write, table):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    Image.fromarray(np.minimum(MANY, 200).astype(np.uint8)).save(tmp_path / "images" / "a.png")
    write(tmp_path / "masks" / "a")
    (mask,) = (tmp_path / "masks").iterdir()
    if table:
        write_table(tmp_path, [f"a.png,{mask.name},g,300 instances"])
    scored = read_truth_folder(tmp_path).table
    assert scored.classes == ("foreground",)
    assert (scored.read(scored.pairs[0])[1] == (MANY > 0)).all()
    (labelled,) = read_labelled(tmp_path).images
    assert (labelled.classes == (MANY > 0)).all()


def test_a_mask_of_several_slices_is_none_of_a_picture(tmp_path):
    folder = make_set(tmp_path, [square(1, (1, 1))], ["0|1"])
    tifffile.imwrite(folder / "masks" / "0.tif", np.stack([square(1, (1, 1))] * 2))
    write_table(folder, ["0.png,0.tif,g,0|1"])
    table = read_pairs(folder)
    with pytest.raises(UserError, match=r"Mask '0.tif' has 2 slices, its image is one"):
        table.read(table.pairs[0])


def test_names_stand_beside_the_table(tmp_path):
    folder = make_set(tmp_path, [square(2, (1, 1))] * 2, ["0|2", "0|2"])
    (folder / "classes.csv").write_text("class,name\n0,rest\n1,cavity\n2,wall\n")
    table = read_pairs(folder)
    assert (table.values, table.classes, table.has_names) == ((1, 2), ("cavity", "wall"), True)
    assert set(np.unique(table.read(table.pairs[0])[1])) == {0, 2}
    assert read_set(folder, 0.5, 1).classes == ("cavity", "wall")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("class,name\none,wall\n", "classes.csv, line 2: class 'one'; due is a number"),
        ("class,name\n1,wall\n2,wall\n", "line 3: '2', 'wall' is there twice"),
        ("number,name\n1,wall\n", "has no class. Due are the columns class,name"),
    ],
)
def test_names_that_cannot_be_used_are_told(tmp_path, text, told):
    folder = make_set(tmp_path, [square(2, (1, 1))], ["0|2"])
    (folder / "classes.csv").write_text(text)
    with pytest.raises(UserError, match=told):
        read_pairs(folder)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ("0", "labels '0'; due are two values or more"),
        ("0,5", "labels '0,5'; due are numbers, as 0|1|2, or words for objects"),
        ("0|x", r"line 2: labels '0\|x'; due are numbers"),
        ("255|0", r"line 2: labels '255\|0'; due is 0 first: it is always the rest"),
        ("|".join(map(str, range(300))), "names 299 classes.* 255 at most.*as '299 instances'"),
    ],
)
def test_labels_that_cannot_be_used_are_told(tmp_path, labels, told):
    write_table(tmp_path, [f'a.png,a.png,a,"{labels}"'])
    with pytest.raises(UserError, match=told):
        read_pairs(tmp_path)


def test_a_mask_that_does_not_fit_is_told(tmp_path):
    folder = make_set(tmp_path, [square(n, (1, 1)) for n in (1, 7, 1, 1, 1)], ["0|1|2"] * 5)
    masks = folder / "masks"
    Image.new("L", (9, 5)).save(masks / "2.png")
    Image.fromarray(np.dstack([square(n, (1, 1)) for n in (1, 2, 1)])).save(masks / "3.png")
    (masks / "4.png").write_bytes(b"\x89PNG nothing")
    table = read_pairs(folder)
    told = [
        "Mask '1.png' has the value 7, which no labels of pairs.csv name; due are 0, 1, 2",
        "Mask '2.png' has 9 x 5 pixels, its image 32 x 24; due is one size",
        "Mask '3.png' is in colours; due is one number a pixel",
        "Mask '4.png' is of no kind that we know; due is PNG, TIFF or NIfTI",
    ]
    for pair, text in zip(table.pairs[1:], told, strict=True):
        with pytest.raises(UserError, match=text):
            table.read(pair)


def test_nothing_outside_the_folder_is_read(tmp_path):
    folder = make_set(tmp_path / "in", [square(1, (1, 1))], ["0|1"])
    write_pair(tmp_path, "out.png", square(1, (1, 1)), square(1, (1, 1)))
    write_table(folder, ["../../images/out.png,0.png,a,0|1", "0.png,/etc/hosts,a,0|1"])
    table = read_pairs(folder)
    for pair, line in zip(table.pairs, (2, 3), strict=True):
        with pytest.raises(UserError, match=rf"pairs\.csv, line {line}: there is no file"):
            table.read(pair)


@pytest.mark.parametrize(
    ("text", "plane"),
    [("0.5", (0.5, 0.5)), ("0.5|0.7", (0.5, 0.7)), ("5|0.5|0.7", (0.5, 0.7)), ("", (1, 1))],
)
def test_spacing_of_an_image_is_that_of_rows_and_columns(tmp_path, text, plane):
    columns = ",spacing_mm" if text else ""
    folder = make_set(tmp_path, [square(1, (1, 1))], ["0|1"], [text], columns)
    (case,) = plan_cases(read_pairs(folder))
    assert (case.name, case.spacing, case.is_volume) == ("0.png", plane, False)


@pytest.mark.parametrize("text", ["0,5", "-1", "0", "nan", "1|2|3|4", "1||2", "wide"])
def test_a_spacing_that_is_none_is_told(tmp_path, text):
    write_table(tmp_path, [f'a,a,a,0|1,"{text}"'], "image,mask,group,labels,spacing_mm")
    with pytest.raises(UserError, match=r"spacing_mm .*; due are 1 to 3 numbers above 0"):
        read_pairs(tmp_path)


def make_volumes(folder, rows, columns=",volume,z,spacing_mm", shape=(24, 32)):
    """Write slices whose mask is a square at the place of their number."""
    lines = []
    for number, row in enumerate(rows):
        mask = square(1, (number, 2 * number), shape=shape)
        write_pair(folder, f"{number}.png", mask, mask)
        lines.append(f"{number}.png,{number}.png,{row}")
    return write_table(folder, lines, "image,mask,group,labels" + columns)


def test_volumes_are_slices_in_the_order_of_z(tmp_path):
    rows = [f"g,0|1,{name},{z},5|0.5|0.7" for name, z in (("a", 10), ("b", 0), ("a", 2), ("a", 6))]
    table = read_pairs(make_volumes(tmp_path, rows))
    first, second = plan_cases(table)
    assert [pair.name for pair in first.pairs] == ["2.png", "3.png", "0.png"]
    assert (first.name, second.name, first.is_volume) == ("a", "b", True)
    assert first.spacing == second.spacing == (5, 0.5, 0.7)
    read = read_case(table, first)
    assert read.truth.shape == (3, 24, 32)
    assert (read.truth[0] == square(1, (2, 4))).all()
    assert (np.stack(first.unstacked(read.truth)) == read.truth).all()
    assert read_case(table, second).truth.shape == (1, 24, 32)


def test_without_z_slices_are_in_the_order_of_the_table(tmp_path):
    folder = make_volumes(tmp_path, ["g,0|1,a", "g,0|1,a"], ",volume")
    (case,) = plan_cases(read_pairs(folder))
    assert [pair.name for pair in case.pairs] == ["0.png", "1.png"]
    assert case.spacing == (1, 1, 1)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["g,0|1,a,1,1", "g,0|1,,2,1"], "line 3, has no volume, though other lines have it"),
        (["g,0|1,a,1,1", "g,0|1,a,,1"], "line 3, has no z, though"),
        (["g,0|1,a,1,1", "g,0|1,a,2,"], "volume 'a' has slices with another spacing_mm"),
        (["g,0|1,a,first,1"], "line 2: z 'first'; due is a number"),
        (["g,0|1,a,1,1", "h,0|1,a,2,1"], "volume 'a' has slices with another group"),
        (["g,0|1,a,1,1", "g,0|1,a,2,2"], "volume 'a' has slices with another spacing_mm"),
        (["g,0|1,a,1,1", "g,0|1,a,1,1"], "slices at z 1, 1; due are even steps, each once"),
        (["g,0|1,a,1,1", "g,0|1,a,2,1", "g,0|1,a,9,1"], "slices at z 1, 2, 9; due are even"),
        (["g,0|1,a,1,1|1"], r"spacing_mm '1\|1'; due are three numbers, of slices, rows"),
    ],
)
def test_slices_that_make_no_volume_are_told(tmp_path, rows, told):
    folder = make_volumes(tmp_path, rows)
    with pytest.raises(UserError, match=told):
        plan_cases(read_pairs(folder))


def test_slices_of_other_sizes_make_no_volume(tmp_path):
    folder = make_volumes(tmp_path, ["g,0|1,a,1,1", "g,0|1,a,2,1"])
    write_pair(folder, "1.png", square(1, (1, 1), shape=(9, 8)), square(1, (1, 1), shape=(9, 8)))
    table = read_pairs(folder)
    with pytest.raises(UserError, match=r"'0.png' has 32 x 24 pixels, '1.png' 8 x 9; due is one"):
        read_case(table, plan_cases(table)[0])


def test_a_slice_that_cannot_be_read_is_named(tmp_path):
    folder = make_volumes(tmp_path, ["g,0|1,a,1,1", "g,0|1,a,2,1"])
    (folder / "masks" / "1.png").unlink()
    table = read_pairs(folder)
    with pytest.raises(UserError, match=r"Slice '1.png': pairs.csv, line 3: there is no file"):
        read_case(table, plan_cases(table)[0])
