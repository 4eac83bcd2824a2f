"""Losses of named pixels, and mixed views, against their definitions."""

import itertools
import math

import pytest
import torch

from napari_medssl.methods.action.supervision import (
    IGNORED,
    class_thresholds,
    confident_loss,
    mix,
    pseudo_label_loss,
    pseudo_labels,
    supervised_loss,
)


def draw(*shape, seed=1):
    return torch.randn(
        *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double
    ).mul(2)


def draw_classes(*shape, count=4, ignored=0.3, seed=2):
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(0, count, shape, generator=generator)
    return classes.masked_fill(torch.rand(shape, generator=generator) < ignored, IGNORED)


def slow_shares(scores):
    powers = [math.exp(s) for s in scores]
    return [p / sum(powers) for p in powers]


def pixels_of(logits, classes):
    """Shares and class of each known pixel, image by image."""
    images = []
    for scores, due in zip(logits.permute(0, 2, 3, 1).tolist(), classes.tolist(), strict=True):
        pairs = [pair for row in zip(scores, due, strict=True) for pair in zip(*row, strict=True)]
        images.append([(slow_shares(s), c) for s, c in pairs if c != IGNORED])
    return images


def slow_supervised(logits, classes):
    """Equation 1."""
    pixels = [pixel for image in pixels_of(logits, classes) for pixel in image]
    weights = {k: 1 / math.sqrt(sum(c == k for _, c in pixels)) for k in {c for _, c in pixels}}
    entropy = -sum(weights[c] * math.log(p[c]) for p, c in pixels)
    entropy /= sum(weights[c] for _, c in pixels)
    return 0.5 * (entropy + 1 - slow_dice(pixels))


def slow_dice(pixels):
    """Mean of the classes that are due somewhere."""
    dices = []
    for k in {c for _, c in pixels}:
        both = sum(p[k] for p, c in pixels if c == k)
        sizes = sum(p[k] for p, c in pixels) + sum(c == k for _, c in pixels)
        dices.append(2 * both / sizes)
    return sum(dices) / len(dices)


@pytest.mark.parametrize("count", [2, 4, 32])
@pytest.mark.parametrize("ignored", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("images", [1, 3])
def test_supervised_loss_is_equation_1(images, ignored, count):
    logits = draw(images, count, 5, 6)
    classes = draw_classes(images, 5, 6, count=count, ignored=ignored)
    due = slow_supervised(logits, classes)
    assert supervised_loss(logits, classes).item() == pytest.approx(due, abs=1e-9)


def test_a_class_that_is_not_shown_is_left_out_of_the_dice_loss():
    """A class without pixels, and without shares, changes nothing."""
    logits, classes = draw(2, 3, 5, 6), draw_classes(2, 5, 6, count=3)
    more = torch.cat([logits, torch.full((2, 1, 5, 6), -60.0, dtype=torch.double)], dim=1)
    assert supervised_loss(more, classes).item() == pytest.approx(
        supervised_loss(logits, classes).item(), abs=1e-9
    )


def test_one_class_alone_can_be_learned():
    classes = torch.ones(1, 4, 4, dtype=torch.int64)
    logits = torch.zeros(1, 3, 4, 4)
    logits[:, 1] = 40
    assert supervised_loss(logits, classes).item() == pytest.approx(0, abs=1e-6)
    assert supervised_loss(torch.zeros(1, 3, 4, 4), classes).item() == pytest.approx(
        0.5 * (math.log(3) + 1 - 2 / (1 + 3)), abs=1e-6
    )


def test_a_rare_class_counts_as_much_as_the_rest_in_the_dice_loss():
    """One missed pixel of one costs half of the Dice term, whatever the size of the image."""
    for side in (8, 64):
        classes = torch.zeros(1, side, side, dtype=torch.int64)
        classes[0, 0, 0] = 1
        logits = torch.zeros(1, 2, side, side, dtype=torch.double)
        logits[:, 0] = 9
        logits[0, :, 0, 0] = torch.tensor([9.0, 0.0])
        sizes = torch.tensor([side * side - 1, 1], dtype=torch.double)
        entropy = torch.nn.functional.cross_entropy(logits, classes, sizes.rsqrt())
        dice = 1 - (2 * supervised_loss(logits, classes) - entropy)
        assert dice.item() == pytest.approx(0.5, abs=0.01)


def test_ignored_pixels_have_no_slope():
    logits, classes = draw(2, 3, 5, 6).requires_grad_(), draw_classes(2, 5, 6, count=3)
    supervised_loss(logits, classes).backward()
    slopes = logits.grad.abs().sum(dim=1)
    assert (slopes[classes == IGNORED] == 0).all()
    assert (slopes[classes != IGNORED] > 0).all()


def test_another_number_can_be_ignored():
    logits, classes = draw(1, 3, 5, 6), draw_classes(1, 5, 6, count=3)
    due = supervised_loss(logits, classes)
    classes[classes == IGNORED] = -1
    assert supervised_loss(logits, classes, ignored=-1) == due


@pytest.mark.parametrize("images", [0, 2])
def test_supervision_of_no_pixel_is_zero(images):
    logits = draw(images, 3, 4, 4).requires_grad_()
    classes = torch.full((images, 4, 4), IGNORED)
    for loss in (
        supervised_loss(logits, classes),
        pseudo_label_loss(logits, classes, torch.ones(images, 4, 4)),
    ):
        assert loss.item() == 0
        slope = torch.autograd.grad(loss, logits)[0]
        assert (slope == 0).all()


def slow_pseudo_label_loss(logits, classes, confidence, threshold):
    """Equation 2."""
    total = 0.0
    for image, due, sure in zip(
        pixels_of(logits, classes), classes, confidence.double(), strict=True
    ):
        if not image:
            continue
        entropy = -sum(math.log(p[c]) for p, c in image) / len(image)
        confident = [s for s in sure[due != IGNORED].tolist() if s >= threshold]
        total += entropy * len(confident) / len(image)
    return total / len(logits)


@pytest.mark.parametrize("threshold", [0.0, 0.6, 0.97, 1.1])
@pytest.mark.parametrize("images", [1, 3])
def test_pseudo_label_loss_is_equation_2(images, threshold):
    logits, classes = draw(images, 4, 5, 6), draw_classes(images, 5, 6)
    classes[0] = IGNORED if images > 1 else classes[0]
    confidence = torch.rand(images, 5, 6, generator=torch.Generator().manual_seed(3))
    came = pseudo_label_loss(logits, classes, confidence, threshold).item()
    due = slow_pseudo_label_loss(logits, classes, confidence, threshold)
    assert came == pytest.approx(due, abs=1e-9)


def test_pixels_that_are_not_valid_are_as_ignored_ones():
    logits, classes = draw(2, 4, 5, 6), draw_classes(2, 5, 6, ignored=0)
    confidence = torch.rand(2, 5, 6, generator=torch.Generator().manual_seed(3))
    valid = torch.rand(2, 5, 6, generator=torch.Generator().manual_seed(4)) < 0.5
    came = pseudo_label_loss(logits, classes, confidence, 0.4, valid)
    due = pseudo_label_loss(logits, classes.where(valid, IGNORED), confidence, 0.4)
    assert came == due > 0


def test_confidence_has_no_slope():
    logits = draw(1, 3, 4, 4).requires_grad_()
    shares = draw(1, 3, 4, 4, seed=5).softmax(dim=1).requires_grad_()
    classes, confidence = pseudo_labels(shares)
    pseudo_label_loss(logits, classes, confidence, 0.4).backward()
    assert shares.grad is None
    assert logits.grad.abs().sum() > 0


def test_pseudo_labels_are_the_likeliest_classes():
    shares = draw(2, 3, 4, 4).softmax(dim=1)
    classes, confidence = pseudo_labels(shares)
    for b, y, x in [(0, 0, 0), (1, 2, 3), (0, 3, 1)]:
        row = shares[b, :, y, x].tolist()
        assert row[classes[b, y, x]] == max(row) == confidence[b, y, x]


def test_supervision_of_half_precision_is_computed_in_full():
    logits, classes = draw(2, 4, 5, 6).bfloat16(), draw_classes(2, 5, 6)
    sure = torch.ones(2, 5, 6).bfloat16()
    for came, due in (
        (supervised_loss(logits, classes), supervised_loss(logits.float(), classes)),
        (
            pseudo_label_loss(logits, classes, confidence=sure),
            pseudo_label_loss(logits.float(), classes, sure.float()),
        ),
    ):
        assert came.dtype == torch.float32
        assert came == due


def test_wrong_shapes_of_supervision_are_told():
    with pytest.raises(ValueError, match=r"Logits of \(2, 3, 4, 4\) and classes of \(2, 4, 5\)"):
        supervised_loss(torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 5, dtype=torch.int64))
    with pytest.raises(ValueError, match="C at least 2"):
        supervised_loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4, dtype=torch.int64))


def tagged(count=4, height=12, width=16, shown=5):
    """Images whose values name image and pixel, and classes and confidence made of those values."""
    numbers = torch.arange(count * height * width, dtype=torch.float).view(count, height, width)
    classes = (torch.arange(height * width) * 7 // 11 % shown).view(1, height, width)
    classes = (classes + torch.arange(count)[:, None, None]) % shown
    return torch.stack([numbers, -numbers], dim=1), classes, numbers / numbers.numel()


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", ["cutmix", "classmix"])
def test_mixed_views_are_mixed_alike(kind):
    """Image, classes and confidence of a pixel are all its own, or all those of the next image."""
    images, classes, confidence = tagged()
    for seed in range(20):
        mixed, labels, sure = mix(images, classes, confidence, seeded(seed), kind)
        for b in range(4):
            n = (b + 1) % 4
            pasted = mixed[b, 0] == images[n, 0]
            assert 0 < pasted.sum() < pasted.numel()
            assert torch.equal(mixed[b], torch.where(pasted, images[n], images[b]))
            assert torch.equal(labels[b], torch.where(pasted, classes[n], classes[b]))
            assert torch.equal(sure[b], torch.where(pasted, confidence[n], confidence[b]))


def test_cutmix_pastes_a_rectangle_of_half_the_area_anywhere():
    images, classes, confidence = tagged(height=40, width=60)
    found = []
    for seed in range(50):
        mixed = mix(images, classes, confidence, seeded(seed), "cutmix")[0]
        for b in range(4):
            y, x = torch.nonzero(mixed[b, 0] == images[(b + 1) % 4, 0]).unbind(dim=1)
            height, width = (y.max() - y.min() + 1).item(), (x.max() - x.min() + 1).item()
            assert len(y) == height * width == pytest.approx(1200, rel=0.05)
            found.append((y.min().item(), y.max().item(), x.min().item(), x.max().item(), height))
    firsts_y, lasts_y, firsts_x, lasts_x, heights = zip(*found, strict=True)
    assert (min(firsts_y), max(lasts_y), min(firsts_x), max(lasts_x)) == (0, 39, 0, 59)
    assert min(heights) < 23
    assert max(heights) > 36


def test_classmix_pastes_half_the_classes_whole():
    images, classes, confidence = tagged(shown=5)
    classes[1, :3] = IGNORED
    chosen = set()
    for seed in range(40):
        mixed = mix(images, classes, confidence, seeded(seed), "classmix")[0]
        pasted = mixed[0, 0] == images[1, 0]
        taken = set(classes[1][pasted].tolist())
        assert len(taken) == 2
        assert IGNORED not in taken
        assert not taken & set(classes[1][~pasted].tolist())
        chosen |= taken
    assert chosen == set(range(5))


def test_classmix_of_one_class_changes_nothing():
    images, classes, confidence = tagged()
    came = mix(images, torch.zeros_like(classes), confidence, seeded(0), "classmix")
    assert torch.equal(came[0], images)


def test_cut_out_pixels_are_ignored():
    images, classes, confidence = tagged(count=1)
    before = [each.clone() for each in (images, classes, confidence)]
    filled, labels, sure = mix(images, classes, confidence, seeded(0), "cutout")
    cut = labels[0] == IGNORED
    assert cut.sum().item() == pytest.approx(96, rel=0.1)
    assert (sure[0][cut] == 0).all()
    assert torch.allclose(filled[0, :, cut], images.mean(dim=(2, 3)).view(2, 1))
    after = (images, classes, confidence)
    for came, due in zip((filled, labels, sure), after, strict=True):
        assert torch.equal(came[..., ~cut], due[..., ~cut])
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("kind", ["cutmix", "classmix"])
def test_one_image_mixes_with_itself(kind):
    given = tagged(count=1)
    came = mix(*given, seeded(0), kind)
    assert all(torch.equal(a, b) for a, b in zip(given, came, strict=True))


@pytest.mark.parametrize("kind", ["cutmix", "classmix", "cutout"])
def test_the_same_generator_mixes_the_same(kind):
    twice = [mix(*tagged(), seeded(3), kind) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*twice, strict=True))
    assert not torch.equal(twice[0][0], mix(*tagged(), seeded(4), kind)[0])
    empty = mix(*(each[:0] for each in tagged()), seeded(0), kind)
    assert [len(each) for each in empty] == [0, 0, 0]


def test_mixtures_that_cannot_be_are_told():
    images, classes, confidence = tagged()
    with pytest.raises(ValueError, match="Kind 'blend' is unknown"):
        mix(images, classes, confidence, seeded(0), "blend")
    with pytest.raises(ValueError, match="came with classes of"):
        mix(images, classes[:2], confidence, seeded(0))


def slow_thresholds(classes, confidence, count, threshold):
    means = []
    for k in range(count):
        of_class = [
            sure
            for due, sure in zip(
                classes.flatten().tolist(), confidence.flatten().tolist(), strict=True
            )
            if due == k
        ]
        means.append(sum(of_class) / len(of_class) if of_class else None)
    best = max(mean for mean in means if mean is not None)
    least = min(0.8, threshold)
    return [threshold if mean is None else max(least, threshold * mean / best) for mean in means]


@pytest.mark.parametrize("threshold", [0.0, 0.6, 0.95])
def test_confident_loss_is_equation_3(threshold):
    logits, classes = draw(2, 4, 4, 5), draw_classes(2, 4, 5, count=3)
    confidence = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(5)).double()
    confidence[classes == 1] **= 0.1  # of one class much surer; class 3 is not found
    limits = slow_thresholds(classes, confidence, 4, threshold)
    known, sure = 0, classes.clone()
    for b, y, x in itertools.product(range(2), range(4), range(5)):
        due = int(classes[b, y, x])
        known += due != IGNORED
        if due != IGNORED and float(confidence[b, y, x]) < limits[due]:
            sure[b, y, x] = IGNORED
    pixels = [pixel for image in pixels_of(logits, sure) for pixel in image]
    entropy = sum(-math.log(p[c]) for p, c in pixels) / len(pixels)
    due = 0.5 * len(pixels) / known * (entropy + 1 - slow_dice(pixels))
    found = confident_loss(logits, classes, confidence, threshold)
    assert float(found) == pytest.approx(due, abs=1e-9)


@pytest.mark.parametrize("threshold", [0.5, 0.95])
def test_thresholds_of_classes_are_those_of_equation_3(threshold):
    classes = draw_classes(2, 8, 9, count=3)
    confidence = torch.rand(2, 8, 9, generator=torch.Generator().manual_seed(5)).double()
    confidence[classes == 0] **= 0.05
    confidence[classes == 1] **= 0.08
    found = class_thresholds(classes, confidence, 4, threshold)
    assert found.tolist() == pytest.approx(slow_thresholds(classes, confidence, 4, threshold))
    assert found[0] == found[3] == threshold
    assert found[2] == min(threshold, 0.8)


def test_confident_loss_without_a_sure_pixel_is_nothing():
    logits = torch.randn(1, 2, 3, 3, requires_grad=True)
    classes = torch.zeros(1, 3, 3, dtype=torch.int64)
    for given in (classes, torch.full_like(classes, 255)):
        found = confident_loss(logits, given, torch.full((1, 3, 3), 0.5), 0.95)
        found.backward()
        assert float(found.detach()) == 0
