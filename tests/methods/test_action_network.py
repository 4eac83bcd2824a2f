"""The U-Net, its heads, and the teacher that averages both."""

import copy

import pytest
import torch

from napari_medssl.methods.action.heads import DIM, PIXEL_STRIDE
from napari_medssl.methods.action.network import (
    BOTTLENECK,
    DECODER_DIMS,
    MOST_CLASSES,
    SegmentationUNet,
)
from napari_medssl.methods.action.teacher import Branch, Student, Teacher, momentum_for
from napari_medssl.methods.siamese.trunk import EfficientNetLite0


def draw(*shape, seed=1):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def make(classes=3, seed=0):
    torch.manual_seed(seed)
    return SegmentationUNet(classes)


@pytest.fixture(scope="module")
def network():
    return make().eval()


@pytest.fixture(scope="module")
def branch():
    torch.manual_seed(0)
    return Branch(make()).eval()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (160, 64)])
def test_maps_have_the_strides_and_channels_that_are_said(network, height, width):
    with torch.no_grad():
        maps = network.maps(draw(2, 3, height, width))
    assert maps.bottleneck.shape == (2, BOTTLENECK, height // 32, width // 32)
    due = [
        (2, dim, height // stride, width // stride)
        for dim, stride in zip(DECODER_DIMS, (16, 8, 4, 2, 1), strict=True)
    ]
    assert [tuple(one.shape) for one in maps.decoder] == due
    assert maps.logits.shape == (2, 3, height, width)
    assert maps.logits.isfinite().all()


@pytest.mark.parametrize("amp", [False, True])
def test_the_way_up_gives_to_the_last_bit_what_padding_by_nothing_gives(amp):
    """Scores and gradients as with MONAI's default, which pads maps that fit already."""
    ours = make()
    padding = copy.deepcopy(ours)
    for step in padding.up:
        assert not step.is_pad
        step.is_pad = True
    made = []
    for one in (ours, padding):
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            made.append(one(draw(2, 3, 64, 96)))
        made[-1].square().mean().backward()
    assert torch.equal(*made)
    for one, other in zip(ours.parameters(), padding.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("classes", [2, 5, MOST_CLASSES])
def test_there_is_a_score_of_each_class(classes):
    network = make(classes).eval()
    with torch.no_grad():
        assert network(draw(1, 3, 32, 32)).shape == (1, classes, 32, 32)
    assert network.classes == classes


@pytest.mark.parametrize("classes", [-1, 0, 1, 33])
def test_other_numbers_of_classes_are_refused(classes):
    with pytest.raises(ValueError, match=f"{classes} classes; due are 2 to 32"):
        SegmentationUNet(classes)


@pytest.mark.parametrize("shape", [(1, 3, 33, 64), (1, 3, 64, 100), (1, 1, 64, 64), (3, 64, 64)])
def test_other_images_are_refused(network, shape):
    with pytest.raises(ValueError, match=r"came; due are \(B, 3, H, W\) with sides that are"):
        network(torch.zeros(shape))


def test_scores_are_in_single_precision(network):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert network(draw(1, 3, 32, 32)).dtype == torch.float32


def test_factors_of_one_change_nothing_and_others_do(network):
    images = draw(2, 3, 64, 64)
    ones = tuple(torch.ones(2, dim, 1, 1) for dim in network.feature_dims())
    with torch.no_grad():
        plain = network.maps(images)
        assert torch.equal(network.maps(images, ones).logits, plain.logits)
        for place in range(len(ones)):
            factors = [one.clone() for one in ones]
            factors[place][1] = 0
            came = network.maps(images, tuple(factors))
            assert torch.equal(came.logits[0], plain.logits[0])
            assert not torch.equal(came.logits[1], plain.logits[1])
            assert torch.equal(came.bottleneck, plain.bottleneck)  # as it was before them


def test_it_starts_from_a_trunk(network):
    torch.manual_seed(5)
    trunk, mine = EfficientNetLite0(), make()
    mine.start_from(trunk)
    due = trunk.state_dict()
    for name, value in mine.trunk.state_dict().items():
        assert torch.equal(value, due[name])
    assert not any(name.startswith("top.") for name in mine.trunk.state_dict())


def statistics_of(network):
    """Return what its trunk keeps of batches, by name."""
    state = network.trunk.state_dict().items()
    return {k: v.clone() for k, v in state if "running" in k or "num_batches" in k}


@pytest.mark.parametrize("is_trained", [True, False])
def test_a_trained_trunk_keeps_its_statistics_and_a_random_one_gathers_them(is_trained):
    """Whatever asks for training, and with gradients into its weights all the same."""
    network = make()
    if is_trained:
        network.start_from(EfficientNetLite0())
    before = statistics_of(network)
    assert any(name.endswith("running_var") for name in before)
    student = Student(network).eval().train()
    student.branch.network(draw(2, 3, 64, 64)).square().sum().backward()
    after = statistics_of(network)
    assert all(torch.equal(after[name], value) == is_trained for name, value in before.items())
    assert network.training
    assert network.up.training
    assert all(p.grad.abs().sum() > 0 for p in network.trunk.blocks.parameters() if p.ndim > 1)


def test_in_training_a_network_with_a_trained_trunk_sees_what_it_sees_in_use():
    """Else the teacher judges other images than its student: mean teacher fell from .77 to .11."""
    network, images = make(), draw(3, 3, 64, 64)
    network.start_from(EfficientNetLite0())
    with torch.no_grad():
        in_use = network.eval().maps(images)
        trained = network.train().maps(images)
        alone = network.maps(images[:1])
    assert torch.equal(trained.logits, in_use.logits)
    assert torch.equal(trained.bottleneck, in_use.bottleneck)
    torch.testing.assert_close(alone.logits, in_use.logits[:1], rtol=1e-4, atol=1e-5)


def test_a_new_head_changes_nothing_else():
    network = make(3)
    before = copy.deepcopy(network.state_dict())
    network.new_head(5)
    after = network.state_dict()
    assert network.classes == 5
    assert after["head.weight"].shape[0] == after["head.bias"].shape[0] == 5
    for name in before.keys() - {"head.weight", "head.bias"}:
        assert torch.equal(before[name], after[name])


# -- heads ---------------------------------------------------------------------------------------


def test_heads_give_vectors_of_images_crops_and_pixels(branch):
    with torch.no_grad():
        maps = branch.network.maps(draw(2, 3, 64, 96))
        assert branch.global_head(maps).shape == (2, DIM)
        crops = draw(2, 5, 3, 8, 8)
        assert branch.local_head(crops).shape == (2, 5, branch.local_head.dim)
        assert branch.representation_head(maps).shape == (
            2,
            DIM,
            64 // PIXEL_STRIDE,
            96 // PIXEL_STRIDE,
        )


def test_a_crop_has_the_vector_that_it_has_alone(branch):
    crops = draw(2, 5, 3, 8, 8)
    with torch.no_grad():
        together = branch.local_head(crops)
        for b in range(2):
            for p in range(5):
                alone = branch.local_head(crops[b : b + 1, p : p + 1])[0, 0]
                torch.testing.assert_close(together[b, p], alone)


def test_an_image_has_the_vectors_that_it_has_alone_in_training_too(branch):
    """Heads normalise layers and groups, not batches."""
    heads = copy.deepcopy(branch).train()
    with torch.no_grad():
        maps = branch.network.maps(draw(3, 3, 64, 64))
        first = branch.network.maps(draw(3, 3, 64, 64)[:1])
        for head in (heads.global_head, heads.representation_head):
            torch.testing.assert_close(head(maps)[:1], head(first), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["global_head", "local_head", "representation_head"])
def test_every_map_of_its_level_reaches_a_head(branch, name):
    images = draw(1, 3, 64, 64)
    maps = branch.network.maps(images)
    if name == "local_head":
        crops = draw(1, 1, 3, 8, 8).requires_grad_()
        branch.local_head(crops).square().sum().backward()
        assert (crops.grad.abs().sum(dim=(0, 1, 3, 4)) > 0).all()
        return
    watched = (maps.bottleneck,) if name == "global_head" else maps.decoder
    for one in watched:
        one.retain_grad()
    getattr(branch, name)(maps).square().sum().backward()
    assert all((one.grad.abs().sum(dim=(0, 2, 3)) > 0).any() for one in watched)


# -- the teacher ---------------------------------------------------------------------------------


def make_pair(momentum=0.99):
    torch.manual_seed(0)
    student = Student(make())
    return student, Teacher(student, momentum)


def shake(student, seed):
    """Change every parameter and statistic of a student."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in student.state_dict().values():
            if value.dtype.is_floating_point:
                value += torch.rand(value.shape, generator=generator)
            else:
                value += 3


@pytest.mark.parametrize(
    ("steps", "due"), [(1, 0.9), (200, 0.9), (400, 0.95), (2000, 0.99), (50_000, 0.99)]
)
def test_a_short_training_has_a_teacher_that_forgets_sooner(steps, due):
    assert momentum_for(steps) == pytest.approx(due)


@pytest.mark.parametrize("momentum", [0.99, 0.6])
def test_the_teacher_follows_its_equation_statistics_included(momentum):
    """t <- m t + (1 - m) s, with m = min(momentum, 1 - 1 / (1 + step)), step by step."""
    student, teacher = make_pair(momentum)
    due = {k: v.clone() for k, v in student.branch.state_dict().items()}
    for step in range(1, 5):
        shake(student, step)
        teacher.update(student)
        m = min(momentum, 1 - 1 / (1 + step))
        now = student.branch.state_dict()
        for name, value in due.items():
            is_number = value.dtype.is_floating_point
            due[name] = m * value + (1 - m) * now[name] if is_number else now[name].clone()
        assert int(teacher.updates) == step
    came = teacher.branch.state_dict()
    assert came.keys() == due.keys()
    assert any(name.endswith("running_var") for name in due)
    for name, value in due.items():
        torch.testing.assert_close(came[name], value, rtol=1e-5, atol=1e-5)


def test_the_momentum_is_the_published_one_after_a_hundred_steps():
    student, teacher = make_pair()
    teacher.updates += 150
    before = {k: v.clone() for k, v in teacher.branch.state_dict().items()}
    shake(student, 1)
    teacher.update(student)
    name = "network.head.weight"
    due = 0.99 * before[name] + 0.01 * student.branch.state_dict()[name]
    torch.testing.assert_close(teacher.branch.state_dict()[name], due)


def test_the_teacher_shares_no_memory_with_the_student():
    student, teacher = make_pair()
    places = {value.data_ptr() for value in student.state_dict().values()}
    assert not places & {value.data_ptr() for value in teacher.branch.state_dict().values()}


def test_the_teacher_has_no_predictor():
    _, teacher = make_pair()
    assert not any("predictor" in name for name in teacher.state_dict())
    assert "updates" in teacher.state_dict()  # a resumed run goes on with its warm-up
