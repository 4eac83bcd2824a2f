"""What a training from painted masks finds in its folder: the person's numbers and names."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.labelled_folders import read_labelled, read_unlabelled
from napari_medssl.backend.painted_workspace import PaintedImage, PaintedImages, fill_painted
from napari_medssl.backend.training_workspace import Workspace
from napari_medssl.io.class_files import class_png
from napari_medssl.io.images import ImageRef, read_image


@pytest.fixture
def sources(tmp_path):
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"cell{number}.png")
        Image.fromarray(np.full((8, 9, 3), 50 * number, np.uint8)).save(paths[-1])
    return [str(path) for path in paths]


def test_numbers_and_names_are_those_of_the_person(tmp_path, sources):
    mask = np.zeros((8, 9), np.uint8)
    mask[2, 3], mask[4, 5] = 1, 4
    file = tmp_path / "accepted.png"
    file.write_bytes(class_png((mask > 0).astype(np.uint8)))
    workspace = Workspace("cells", tmp_path / "models")
    painted = PaintedImages(
        (PaintedImage(sources[0], mask), PaintedImage(sources[1], file)),
        (sources[2],),
        {1: "=nucleus", 2: "rest, or so"},
    )
    fill_painted(workspace, painted)
    known = read_labelled(workspace.folder, masks="classes")
    assert known.class_names == ("=nucleus", "rest, or so", "class 3", "class 4")
    assert not known.failures
    assert (known.images[0].classes == mask).all()
    assert (known.images[1].classes == (mask > 0)).all()
    assert len(read_unlabelled(workspace.unlabelled).images) == 1


def test_what_cannot_be_learnt_is_told(tmp_path, sources):
    workspace = Workspace("cells", tmp_path / "models")
    empty = np.zeros((8, 9), np.uint8)
    with pytest.raises(UserError, match="No mask is painted yet"):
        fill_painted(workspace, PaintedImages((PaintedImage(sources[0], empty),)))
    with pytest.raises(UserError, match="Class 32 came; a model learns the classes 1 to 31"):
        fill_painted(workspace, PaintedImages((PaintedImage(sources[0], empty + 32),)))
    painted = PaintedImages((PaintedImage(sources[0], empty + 1),))
    with pytest.raises(Cancelled):
        fill_painted(workspace, painted, should_stop=lambda: True)


def test_ground_that_was_filled_by_accident_is_told(tmp_path, sources):
    workspace = Workspace("cells", tmp_path / "models")
    full, half = np.ones((8, 9), np.uint8), np.tri(8, 9, dtype=np.uint8)
    names = {1: "nucleus"}
    words = r"All that is painted is class 1 \('nucleus'\), to the last pixel.*Ctrl\+Z takes that"
    one, other = (PaintedImage(source, full) for source in sources[:2])
    with pytest.raises(UserError, match=words):
        fill_painted(workspace, PaintedImages((one, other), class_names=names))
    fill_painted(workspace, PaintedImages((one, PaintedImage(sources[1], half)), class_names=names))
    fill_painted(workspace, PaintedImages((PaintedImage(sources[0], half + 1),)))  # two classes


def test_an_image_that_is_gone_is_told_with_what_to_do(tmp_path, sources):
    (tmp_path / "cell1.png").unlink()
    mask = np.ones((8, 9), np.uint8)
    mask[0] = 0
    painted = PaintedImages((PaintedImage(sources[0], mask),), (sources[1],))
    with pytest.raises(UserError, match=r"cell1.png'.*Put it where it was, or take the image off"):
        fill_painted(Workspace("cells", tmp_path / "models"), painted)


@pytest.mark.parametrize("top", [60, 240])
def test_pages_of_a_stack_are_learnt_as_light_as_they_are_shown(tmp_path, top):
    """The dark page of a light stack is not taken for a dim picture, nor that of a dim one."""
    data = np.stack([np.full((8, 9), top, np.uint8), np.full((8, 9), top // 5, np.uint8)])
    data[:, 0] = 0
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, data, photometric="minisblack")
    mask = np.zeros((8, 9), np.uint8)
    mask[2] = 1
    workspace = Workspace("cells", tmp_path / "models")
    fill_painted(
        workspace, PaintedImages((PaintedImage(f"{path}#page=2", mask),), (f"{path}#page=1",))
    )
    learnt = read_labelled(workspace.folder, masks="classes").images[0]
    assert (learnt.pixels == read_image(ImageRef(path, 2), robust=True)).all()
    assert (learnt.classes == mask).all()
    assert abs(int(learnt.pixels.max()) - (51 if top < 128 else top // 5)) <= 1
    other = read_unlabelled(workspace.unlabelled).images[0]
    assert (other == read_image(ImageRef(path, 1), robust=True)).all()
