"""Images with masks and without, as training gets them: what is read, decided, left out, told."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.labelled_folders import read_labelled, read_unlabelled
from napari_medssl.backend.mask_meaning import choose_meaning
from napari_medssl.backend.patients import read_patients
from napari_medssl.backend.segmentation_data import read_pairs
from napari_medssl.state.mask_folder import MaskFolder
from napari_medssl.state.mask_items import MaskImage

SIZE = (24, 32)


def picture(number=0, size=SIZE):
    return np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)


def mask_of(*values, size=SIZE, dtype=np.uint8):
    """Return a mask with a row of each value, 0 elsewhere."""
    mask = np.zeros(size, dtype)
    for row, value in enumerate(values):
        mask[row] = value
    return mask


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".tif", ".tiff"):
        is_rgb = values.shape[-1] == 3
        tifffile.imwrite(path, values, photometric="rgb" if is_rgb else "minisblack")
    else:
        Image.fromarray(values).save(path)


@pytest.fixture
def folder(tmp_path):
    """A folder to which `add` adds an image and its mask."""

    class Folder:
        path = tmp_path / "set"

        def add(self, name, mask, image=None, *, suffix=".png", mask_suffix=".png"):
            pixels = picture(len(name) + ord(name[0])) if image is None else image
            save(self.path / "images" / (name + suffix), pixels)
            save(self.path / "masks" / (name + mask_suffix), mask)
            return self

        def read(self, **options):
            return read_labelled(self.path, **options)

    return Folder()


def told(read):
    return " ".join(read.remarks)


# -- what is read --------------------------------------------------------------------------------


def test_numbers_are_classes_and_images_are_rgb(folder):
    read = folder.add("a", mask_of(1, 2)).add("b", mask_of(2)).read()
    assert read.class_names == ("1", "2")
    assert [image.name for image in read.images] == ["a.png", "b.png"]
    assert [image.group for image in read.images] == ["a", "b"]
    np.testing.assert_array_equal(read.images[0].classes, mask_of(1, 2))
    np.testing.assert_array_equal(read.images[0].pixels, picture(1 + ord("a")))
    assert read.images[0].pixels.dtype == read.images[0].classes.dtype == np.uint8
    assert "2 classes ('1', '2')" in told(read)
    assert "--mask-values foreground" in told(read)


def test_one_labelled_image_is_enough(folder):
    assert len(folder.add("only", mask_of(1)).read().images) == 1


def test_wide_and_see_through_images_are_read_as_elsewhere(folder):
    wide = np.linspace(500, 900, SIZE[0] * SIZE[1]).reshape(SIZE).astype(np.uint16)
    clear = np.dstack([picture(1), np.zeros(SIZE, np.uint8)])
    folder.add("wide", mask_of(1), wide, suffix=".tif").add("clear", mask_of(1), clear)
    clear, wide = (image.pixels for image in folder.read().images)
    assert (clear == 255).all()  # laid on white
    assert (wide.min(), wide.max()) == (0, 255)


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [(".png", np.uint16), (".tif", np.int32), (".tif", np.float32), (".bmp", np.uint8)],
)
def test_masks_of_many_kinds_hold_the_same_numbers(folder, suffix, dtype):
    read = folder.add("a", mask_of(1, 3, dtype=dtype), mask_suffix=suffix).read()
    np.testing.assert_array_equal(read.images[0].classes, mask_of(1, 3))


def test_a_palette_or_grey_as_rgb_holds_numbers(folder):
    folder.add("a", mask_of(1, 2)).add("b", np.dstack([mask_of(1, 2)] * 3))
    painted = Image.fromarray(mask_of(1, 2)).convert("P")
    painted.putpalette([value for color in range(256) for value in (color, 255 - color, 7)])
    painted.save(folder.path / "masks" / "a.png")
    for image in folder.read().images:
        np.testing.assert_array_equal(image.classes, mask_of(1, 2))


def test_a_stack_gives_its_slices_as_one_group(folder):
    stack = np.random.default_rng(0).integers(0, 256, (3, *SIZE), np.uint8)
    masks = np.stack([mask_of(1), mask_of(2), mask_of()])
    read = folder.add("scan", masks, stack, suffix=".tif", mask_suffix=".tif").read()
    assert [image.name for image in read.images] == [f"scan.tif#page={n}" for n in (1, 2, 3)]
    assert {image.group for image in read.images} == {"scan"}
    np.testing.assert_array_equal([image.classes for image in read.images], masks)
    np.testing.assert_array_equal([image.pixels[..., 0] for image in read.images], stack)


@pytest.mark.parametrize("suffix", [".nii.gz", ".zarr"])
def test_a_volume_gives_its_slices_as_one_group(folder, suffix):
    """In one grey for all slices: the darker one stays dark."""
    scan = np.stack([np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) // part for part in (1, 4)])
    masks = np.stack([mask_of(1), mask_of(0, 2)])
    folder.add("a", mask_of(1))
    for part, data in (("images", scan.astype(np.int16)), ("masks", masks)):
        place = str(folder.path / part / f"scan.3{suffix}")
        if suffix == ".zarr":
            zarr.create_array(place, data=data)
        else:
            nibabel.Nifti1Image(data.T, np.eye(4)).to_filename(place)
    _, first, second = folder.read().images
    assert (first.name, second.name) == (f"scan.3{suffix}#page=1", f"scan.3{suffix}#page=2")
    assert first.group == second.group == "scan.3"
    np.testing.assert_array_equal([first.classes, second.classes], masks)
    assert first.pixels.max() == 255
    assert 60 < second.pixels.max() < 68
    unlabelled = read_unlabelled(folder.path)
    np.testing.assert_array_equal(unlabelled.images[1], first.pixels)


def test_a_mask_that_lies_elsewhere_in_space_is_left_out(folder):
    """Mirrored it would have the same size; where a file knows no place, its grid is taken."""
    folder.add("a", mask_of(1))
    data = np.stack([mask_of(1), mask_of(2)])
    for name, place in (("same", 1), ("turned", -1), ("unknown", 0)):
        affine = np.diag([-2.0, 2, 5, 1])
        image = nibabel.Nifti1Image(data.T, affine)
        image.to_filename(folder.path / "images" / f"{name}.nii")
        mask = nibabel.Nifti1Image(data.T, affine * [place, 1, 1, 1] if place else np.eye(4))
        mask.to_filename(folder.path / "masks" / f"{name}.nii")
    read = folder.read()
    assert {image.group for image in read.images} == {"a", "same", "unknown"}
    assert "'turned.nii' and its mask 'turned.nii' lie differently in space" in read.failures[0][1]


def test_a_slice_of_a_volume_can_be_listed(folder):
    folder.add("a", mask_of(1))
    data = np.stack([mask_of(1), mask_of(2), mask_of(0, 2)])
    for part in ("images", "masks"):
        nibabel.Nifti1Image(data.T, np.eye(4)).to_filename(folder.path / part / "s.nii")
    rows = "image,mask\ns.nii#page=2,s.nii#page=2\ns.nii#page=9,s.nii#page=9\n"
    (folder.path / "pairs.csv").write_text(rows)
    read = folder.read()
    np.testing.assert_array_equal(read.images[0].classes, data[1])
    assert read.failures == (("s.nii#page=9", "Cannot read page 9 of 's.nii': it has 3."),)


def test_a_stack_with_fewer_masks_is_left_out(folder):
    stacks = np.stack([mask_of(1)] * 2), np.stack([mask_of()] * 3)
    folder.add("a", mask_of(1)).add("s", *stacks, suffix=".tif", mask_suffix=".tif")
    assert folder.read().failures == (
        ("s.tif", "'s.tif' has 3 slices, its mask 's.tif' 2; due are as many."),
    )


def test_groups_are_patients_of_the_file_names(folder):
    folder.add("p7_left", mask_of(1)).add("p7_right", mask_of(1)).add("x", mask_of(1))
    read = folder.read(patients=read_patients(None, "^p[0-9]+"))
    assert [image.group for image in read.images] == ["p7", "p7", "x"]


# -- what the numbers mean -----------------------------------------------------------------------


def test_0_and_255_are_background_and_foreground(folder):
    read = folder.add("a", mask_of(255)).read()
    assert read.class_names == ("foreground",)
    np.testing.assert_array_equal(read.images[0].classes, mask_of(1))
    assert "background and foreground" in told(read)


def test_255_beside_classes_is_not_painted(folder):
    read = folder.add("a", mask_of(1, 255)).add("b", mask_of(2)).read()
    np.testing.assert_array_equal(read.images[0].classes, mask_of(1, 255))
    assert "1 of 2 masks have 255 beside classes: not painted" in told(read)


def test_one_number_over_31_makes_the_whole_set_foreground(folder):
    """By all masks and not by each: the first alone would be of classes."""
    read = folder.add("a", mask_of(1, 2)).add("b", mask_of(3, 40)).read()
    np.testing.assert_array_equal(read.images[0].classes, mask_of(1, 1))
    assert "1 of 2 masks have numbers over 31 (to 40)" in told(read)
    assert "--mask-values classes" in told(read)


def test_many_numbers_without_gaps_are_objects(folder):
    read = folder.add("a", mask_of(*range(1, 10))).add("b", mask_of(*range(1, 5))).read()
    assert read.class_names == ("foreground",)
    assert "run from 1 without a gap, to 9 at most" in told(read)


def test_many_classes_with_gaps_are_classes(folder):
    """Of 9 organs an image shows some; a set where all show the same 9 is no numbering either."""
    assert len(folder.add("a", mask_of(*range(1, 10))).read().class_names) == 9
    assert len(folder.add("b", mask_of(2, 9)).read().class_names) == 9


def test_a_person_has_the_last_word(folder):
    folder.add("a", mask_of(1, 2)).add("b", mask_of(40, 1))
    as_classes = folder.read(masks="classes")
    assert as_classes.class_names == ("1", "2")
    assert as_classes.failures == (
        (
            "b.png",
            "Mask 'b.png' has the value 40, which is no class; due are 0 to 2, or 255 where "
            "nothing is painted.",
        ),
    )
    foreground = folder.read(masks="foreground")
    np.testing.assert_array_equal(foreground.images[0].classes, mask_of(1, 1))


def test_numbers_over_31_cannot_be_classes(folder):
    folder.add("a", mask_of(40, 50))
    with pytest.raises(UserError, match=r"hold 0, 40, 50; due are classes of 1 to 31"):
        folder.read(masks="classes")
    with pytest.raises(UserError, match=r"--mask-values 'x' came; due is one of auto, classes"):
        folder.read(masks="x")


def test_classes_have_the_names_of_their_table(folder):
    folder.add("a", mask_of(1, 3)).add("b", mask_of(2))
    (folder.path / "classes.csv").write_text("class,name\n1,cytoplasm\n3,nucleus\n")
    read = folder.read()
    assert read.class_names == ("cytoplasm", "2", "nucleus")
    assert "has the value 2, which is no class; due are 0, 1, 3" in read.failures[0][1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class,name\nx7,x\n", r"line 2: class 'x7' is called 'x'; due are a number of the masks"),
        ("class,name\n1,\n", r"class '1' is called ''"),
        ("number;name\n1;x\n", r"has the columns number;name; due are class and name"),
        ("\xff", r"has the columns"),
    ],
)
def test_a_table_of_names_that_is_none(folder, text, message):
    folder.add("a", mask_of(1))
    (folder.path / "classes.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        folder.read()


def test_the_pairs_table_says_pairs_groups_and_values(folder):
    folder.add("a", mask_of(85, 170)).add("b", mask_of(85)).add("c", mask_of(1))
    rows = "image,mask,group,labels\na.png,a.png,p1,0|85|170\nb.png,b.png,p1,0|85\n"
    (folder.path / "pairs.csv").write_text(rows)
    read = folder.read()
    assert [(image.name, image.group) for image in read.images] == [
        ("a.png", "p1"),
        ("b.png", "p1"),
    ]
    assert read.class_names == ("85", "170")
    assert "By the table 85 is class 1, 170 is class 2" in told(read)
    np.testing.assert_array_equal(read.images[0].classes, mask_of(1, 2))


def test_the_pairs_table_needs_no_groups_and_labels(folder):
    folder.add("a", mask_of(1)).add("b", mask_of(1))
    (folder.path / "pairs.csv").write_text("image,mask\na.png,b.png\nno.png,a.png\n,x\n")
    read = folder.read()
    assert [image.group for image in read.images] == ["a"]
    assert [name for name, _ in read.failures] == ["no.png", "line 4"]
    assert "pairs.csv names 'no.png', which is no file in" in read.failures[0][1]


def test_the_pairs_table_never_leads_out_of_the_folder(folder):
    folder.add("a", mask_of(1))
    save(folder.path / "secret.png", mask_of(1))
    (folder.path / "pairs.csv").write_text("image,mask\n../secret.png,a.png\n")
    with pytest.raises(UserError, match=r"lists no image that is there with its mask"):
        folder.read()


def test_words_as_labels_say_foreground(folder):
    folder.add("a", mask_of(1, 2, 3))
    (folder.path / "pairs.csv").write_text("image,mask,group,labels\na.png,a.png,a,3 instances\n")
    read = folder.read()
    assert read.class_names == ("foreground",)
    assert "'3 instances'" in told(read)


def test_labels_are_classes_in_their_order():
    """Images show different structures; as where `segmentation_data` scores, gaps are none."""
    meaning = choose_meaning([frozenset((0, 3)), frozenset((0, 1))], "auto", {}, ["0|3", "0|1"])
    assert meaning.names == ("1", "3")
    np.testing.assert_array_equal(meaning.classes_of(mask_of(3, 1, 255), "m"), mask_of(2, 1, 255))


def test_one_listed_value_is_foreground(folder):
    folder.add("a", mask_of(255, 254))
    (folder.path / "pairs.csv").write_text("image,mask,group,labels\na.png,a.png,a,0|255\n")
    (folder.path / "classes.csv").write_text("class,name\n255,vessel\n")
    read = folder.read()
    assert read.class_names == ("vessel",)
    np.testing.assert_array_equal(read.images[0].classes, mask_of(1, 1))


def test_names_of_large_values_make_them_classes(folder):
    folder.add("a", mask_of(85, 170))
    (folder.path / "classes.csv").write_text("class,name\n170,disc\n85,cup\n")
    read = folder.read()
    assert read.class_names == ("cup", "disc")
    np.testing.assert_array_equal(read.images[0].classes, mask_of(1, 2))


@pytest.mark.parametrize("labels", ["0|1|2", "0|3|7", "0|255", "0|85|170", "4 instances"])
def test_training_and_scoring_read_a_table_alike(folder, labels):
    values = [int(value) for value in labels.split("|")] if "|" in labels else [0, 5, 6]
    folder.add("a", mask_of(*values))
    (folder.path / "pairs.csv").write_text(f"image,mask,group,labels\na.png,a.png,a,{labels}\n")
    table, read = read_pairs(folder.path), folder.read()
    assert table.classes == read.class_names
    np.testing.assert_array_equal(table.read(table.pairs[0])[1], read.images[0].classes)


# -- sets of the widget --------------------------------------------------------------------------


@pytest.fixture
def painted(tmp_path):
    """A set of the widget: one image with a mask that is painted, two without."""
    for name in "abc":
        save(tmp_path / "files" / f"{name}.png", picture(ord(name)))
    place = tmp_path / "cells.masks"
    with MaskFolder.open(place) as masks:
        items = [MaskImage(f"{n}.png", str(tmp_path / "files" / f"{n}.png")) for n in "abc"]
        key = masks.store.add_images(items)[0]
        masks.store.note_size(key, SIZE[1], SIZE[0])
        masks.hold(key, mask_of())
        masks.take_in(key, mask_of(1, 2))
        from napari_medssl.state.mask_classes import MaskClass

        masks.remember(classes={1: MaskClass("wall"), 2: MaskClass("lumen")})
    return place


def test_a_set_of_the_widget_brings_its_names(painted):
    read = read_labelled(painted)
    assert read.class_names == ("wall", "lumen")
    assert [(image.name, image.group) for image in read.images] == [("a.png", "a")]
    np.testing.assert_array_equal(read.images[0].classes, mask_of(1, 2))
    assert "2 images of the set have no mask" in told(read)


def test_the_rest_of_a_set_of_the_widget_is_unlabelled(painted):
    assert read_unlabelled(painted).names == ("b.png", "c.png")


def test_a_set_that_is_open_elsewhere_is_told(painted):
    with MaskFolder.open(painted), pytest.raises(UserError, match="is open in another window"):
        read_labelled(painted)


def test_what_a_model_made_is_no_label(painted):
    with MaskFolder.open(painted) as masks:
        key = next(k for k, item in masks.store.as_dict().items() if item.name == "b.png")
        name = masks.new_mask_name(key)
        Image.fromarray(mask_of(1)).save(masks.mask_place(name))
        masks.use_mask(key, name, mask_of(1), model="some", classes=("wall",))
    assert [image.name for image in read_labelled(painted).images] == ["a.png"]
    assert read_unlabelled(painted).names == ("b.png", "c.png")
    with MaskFolder.open(painted) as masks:
        masks.accept(key)
    assert [image.name for image in read_labelled(painted).images] == ["a.png", "b.png"]
    assert read_unlabelled(painted).names == ("c.png",)


def test_a_set_without_masks_is_told(tmp_path):
    MaskFolder.open(tmp_path / "new.masks").close()
    with pytest.raises(UserError, match=r"painted, corrected or accepted\. Paint or accept one"):
        read_labelled(tmp_path / "new.masks")


# -- what is wrong -------------------------------------------------------------------------------


def test_folders_that_are_missing_are_named(folder, tmp_path):
    with pytest.raises(UserError, match=r"--labelled .*nothing' is not a folder"):
        read_labelled(tmp_path / "nothing")
    folder.path.mkdir()
    with pytest.raises(UserError, match=r"has no folder images/"):
        folder.read()
    (folder.path / "images").mkdir()
    with pytest.raises(UserError, match=r"has no folder masks/.*a mask of the same name"):
        folder.read()


def test_images_and_masks_without_the_other_are_counted_and_left_out(folder):
    folder.add("a", mask_of(1))
    for name in "bcdef":
        save(folder.path / "images" / f"{name}.png", picture())
    save(folder.path / "masks" / "z.png", mask_of(1))
    read = folder.read()
    assert [image.name for image in read.images] == ["a.png"]
    assert not read.failures
    assert "5 of 6 images have no mask and are left out: 'b.png', 'c.png', 'd.png' and 2 more" in (
        told(read)
    )
    assert "1 of 2 masks have no image and are left out: 'z.png'" in told(read)


def test_no_pair_at_all_is_an_error(folder):
    save(folder.path / "images" / "a.png", picture())
    save(folder.path / "masks" / "a_mask.png", mask_of(1))
    with pytest.raises(UserError, match=r"holds 'a.png', masks/ 'a_mask.png'\. An image and its"):
        folder.read()


def test_two_images_of_one_name_are_told(folder):
    folder.add("a", mask_of(1))
    save(folder.path / "images" / "a.tif", picture())
    (failure,) = folder.read().failures
    assert failure[0] == "images/a.tif"
    assert "'a.png' has the same name apart from the suffix" in failure[1]


def test_a_mask_of_another_size_is_left_out_with_both_sizes(folder):
    folder.add("a", mask_of(1)).add("b", mask_of(1, size=(10, 20)))
    assert folder.read().failures == (
        ("b.png", "Mask 'b.png' has 20 x 10 pixels, its image 32 x 24; due is one size."),
    )


def test_where_nothing_fits_the_first_reason_is_told(folder):
    folder.add("a", mask_of(1, size=(10, 20)))
    with pytest.raises(UserError, match=r"None of 1 images of .* can be used: .* 20 x 10 pixels"):
        folder.read()


@pytest.mark.parametrize(
    ("mask", "suffix", "message"),
    [
        (picture(5), ".png", "is in colours; due is one number a pixel"),
        (mask_of(1), ".jpg", "is a JPEG file; due is PNG, TIFF or NIfTI"),
        (np.full(SIZE, 0.5, np.float32), ".tif", "has the value 0.5; due are whole numbers"),
        (np.full(SIZE, np.nan, np.float32), ".tif", "has the value nan; due are whole numbers"),
        (np.full(SIZE, -1, np.int16), ".tif", "has the value -1; due are whole numbers from 0"),
    ],
)
def test_masks_that_are_none_are_left_out(folder, mask, suffix, message):
    folder.add("a", mask_of(1)).add("b", mask, mask_suffix=suffix)
    (failure,) = folder.read().failures
    assert failure[0] == "b.png"
    assert message in failure[1]


def test_files_that_cannot_be_read_are_told_and_the_rest_goes_on(folder):
    folder.add("a", mask_of(1)).add("b", mask_of(1)).add("c", mask_of(1))
    (folder.path / "images" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    (folder.path / "masks" / "c.png").write_bytes(b"text")
    read = folder.read()
    assert [image.name for image in read.images] == ["a.png"]
    assert [name for name, _ in read.failures] == ["b.png", "c.png"]
    assert "Mask 'c.png' is of no kind that we know" in read.failures[1][1]


def test_masks_that_are_all_empty_label_nothing(folder):
    folder.add("a", mask_of()).add("b", mask_of())
    with pytest.raises(UserError, match=r"All 2 masks are empty: nothing is labelled"):
        folder.read()


def test_masks_where_nothing_usable_is_labelled_are_an_error(folder):
    folder.add("a", mask_of(255)).add("b", mask_of(7))
    (folder.path / "classes.csv").write_text("class,name\n1,x\n2,y\n")
    with pytest.raises(UserError, match=r"Nothing is labelled in .*has the value 7"):
        folder.read()


def test_an_empty_mask_among_others_says_that_nothing_is_there(folder):
    read = folder.add("a", mask_of(1)).add("b", mask_of()).read()
    assert len(read.images) == 2
    assert "1 of 2 masks are empty" in told(read)


def test_a_mask_of_255_alone_beside_classes_is_left_out(folder):
    read = folder.add("a", mask_of(1)).add("b", np.full(SIZE, 255, np.uint8)).read()
    assert read.failures == (
        ("b.png", "Nothing in the mask 'b.png' is painted: all of it is 255."),
    )


def test_a_class_that_nobody_painted_is_told(folder):
    folder.add("a", mask_of(1))
    (folder.path / "classes.csv").write_text("class,name\n1,x\n2,rare\n")
    assert "No mask has the class 'rare': nothing can be learned of it" in told(folder.read())


# -- unlabelled ----------------------------------------------------------------------------------


def test_unlabelled_images_lie_flat_or_in_images(folder, tmp_path):
    flat = tmp_path / "flat"
    save(flat / "im10.png", picture(10))
    save(flat / "im2.tif", np.stack([mask_of(1), mask_of(2)]))
    assert read_unlabelled(flat).names == ("im2.tif#page=1", "im2.tif#page=2", "im10.png")
    folder.add("a", mask_of(1))
    read = read_unlabelled(folder.path)
    assert read.names == ("a.png",)
    assert read.images[0].shape == (*SIZE, 3)


def test_an_empty_unlabelled_folder_is_fine_and_told(tmp_path):
    read = read_unlabelled(tmp_path)
    assert read.images == ()
    assert "holds no readable image: only labelled ones are used" in told(read)
    assert "not in folders within it" in told(read)


def test_unlabelled_folders_that_are_none(tmp_path):
    with pytest.raises(UserError, match=r"--unlabelled .*x' is not a folder"):
        read_unlabelled(tmp_path / "x")
    (tmp_path / "masks").mkdir()
    with pytest.raises(UserError, match=r"has masks/ but no images/"):
        read_unlabelled(tmp_path)


def test_images_that_are_labelled_too_are_counted_and_stay(folder, tmp_path):
    labelled = folder.add("a", mask_of(1)).read()
    save(tmp_path / "more" / "same.png", labelled.images[0].pixels)
    save(tmp_path / "more" / "other.png", picture(99))
    read = read_unlabelled(tmp_path / "more", labelled=labelled)
    assert read.names == ("other.png", "same.png")
    assert "1 of 2 unlabelled images are among the labelled ones too: 'same.png'" in told(read)


def test_unlabelled_files_that_cannot_be_read_are_told(tmp_path):
    save(tmp_path / "a.png", picture())
    (tmp_path / "notes.txt").write_text("text")
    read = read_unlabelled(tmp_path)
    assert read.names == ("a.png",)
    assert [name for name, _ in read.failures] == ["notes.txt"]


# -- progress and stopping -----------------------------------------------------------------------


def test_progress_counts_the_files(folder):
    for name in "abc":
        folder.add(name, mask_of(1))
    steps = []
    folder.read(on_progress=steps.append)
    assert [(step.done, step.total, step.message) for step in steps] == [
        (done, 3, "reading set") for done in range(3)
    ]


@pytest.mark.parametrize("after", [0, 1, 7])
def test_reading_stops_when_asked(folder, tmp_path, after):
    for name in "abcdef":
        folder.add(name, mask_of(1))
    asked = iter([False] * after)
    with pytest.raises(Cancelled):
        folder.read(should_stop=lambda: next(asked, True))
    with pytest.raises(Cancelled):
        read_unlabelled(Path(folder.path), should_stop=lambda: True)
