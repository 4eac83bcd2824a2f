"""Segmenting pictures of any size, window by window, with a network of ACTION."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from action_world import disks

from napari_medssl._errors import UserError
from napari_medssl.backend import action_segmenter as work
from napari_medssl.backend.action_segmenter import ActionSegmenter
from napari_medssl.backend.action_start import start_network
from napari_medssl.backend.jobs import Cancelled


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for each other crawl on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network():
    """A network whose classes depend on the picture, its last layer made decided."""
    found = start_network("imagenet", 3, 1)
    with torch.no_grad():
        found.head.weight *= 20
    return found.eval()


def make(network, side=64, window=64):
    return ActionSegmenter(network, "disks", ("a", "b"), side, window)


def noise(*shape, seed=0, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 1, 3), (7, 300, 3), (33, 65), (65, 33, 1), (80, 80, 3)]
)
def test_a_picture_of_any_size_gets_a_class_for_each_pixel(network, shape):
    segmenter = make(network)
    found = segmenter.segment(noise(*shape))
    assert found.shape == shape[:2]
    assert found.dtype == np.uint8
    assert set(np.unique(found)) <= {0, 1, 2}


@pytest.mark.parametrize("classes", [2, 3, 32])
def test_the_likeliest_class_is_the_first_of_the_largest_scores(classes):
    """As NumPy's argmax finds it; half precision makes equal scores common."""
    scores = np.random.default_rng(classes).integers(0, 3, (classes, 40, 60)).astype(np.float32)
    found = work._likeliest(torch.from_numpy(scores)[None])
    assert found.dtype == np.uint8
    assert (found == scores.argmax(axis=0)).all()


def test_wide_values_are_scaled_and_what_is_no_picture_is_told(network):
    found = make(network).segment(noise(40, 50, dtype=np.uint16) * 200)
    assert found.shape == (40, 50)
    with pytest.raises(UserError):
        make(network).segment(np.zeros((4, 40, 40, 3)))


def test_shares_add_up_to_one_and_their_largest_is_the_class(network):
    pixels = disks(3)[0][:, :61]
    shares = make(network).shares(pixels)
    assert shares.shape == (3, 80, 61)
    assert shares.dtype == np.float32
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(shares.argmax(axis=0), make(network).segment(pixels))


def test_uncertainty_is_from_0_to_1(network):
    found = make(network).uncertainty(disks(3)[0])
    assert found.shape == (80, 80)
    assert found.dtype == np.float32
    assert 0 <= found.min() < found.max() <= 1


@pytest.mark.parametrize(("factor", "due"), [(0.0, 1.0), (1e6, 0.0)])
def test_uncertainty_is_1_where_all_is_alike_and_0_where_one_is_sure(factor, due):
    network = start_network("random", 4, 1)
    with torch.no_grad():
        network.head.weight *= factor
        network.head.bias *= factor
    # A pixel may lie on the very border of two classes: nearly all are sure.
    found = make(network).uncertainty(noise(70, 90, 3))
    assert np.median(np.abs(found - due)) < 1e-3


def test_nothing_is_found_outside_what_is_looked_at(network):
    pixels = disks(3)[0]
    inside = np.zeros(pixels.shape[:2], bool)
    inside[20:50, 10:70] = True
    whole, found = make(network).segment(pixels), make(network).segment(pixels, inside)
    assert not found[~inside].any()
    np.testing.assert_array_equal(found[inside], whole[inside])


class Local:
    """A network that knows no more than the pixel: windows must join without a trace."""

    def __init__(self):
        self.windows = []

    def __call__(self, views):
        self.windows.append(tuple(views.shape))
        return torch.cat([views.mean(dim=1, keepdim=True), views[:, :2]], dim=1)

    def to(self, *args, **kwargs):
        return self

    def eval(self):
        return self


@pytest.mark.parametrize(("height", "width"), [(200, 300), (64, 131), (97, 450)])
def test_windows_lie_where_they_belong(height, width):
    network, pixels = Local(), noise(height, width, 3)
    segmenter = make(network, min(height, width))
    logits = segmenter._logits(pixels, lambda: False)[0].numpy()
    assert sum(shape[0] for shape in network.windows) > 1
    assert {shape[1:] for shape in network.windows} == {(3, 64, 64)}
    planes = np.moveaxis(pixels, 2, 0) / 255
    np.testing.assert_allclose(logits[0], planes.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(logits[1:], planes[:2], atol=1e-5)


class Differing(Local):
    """Finds 0 in one window and 1 in the next: they must go over into each other evenly."""

    def __call__(self, views):
        first = sum(shape[0] for shape in self.windows)
        found = super().__call__(views)
        number = torch.arange(first, first + len(views)) % 2
        return torch.zeros_like(found) + number[:, None, None, None]


@pytest.mark.parametrize(("height", "width"), [(64, 300), (200, 297)])
def test_windows_go_over_into_each_other_without_lines(height, width):
    """Within the quarter by which they overlap, also at the rim of the picture."""
    logits = make(Differing(), height)._logits(noise(height, width, 3), lambda: False)[0, 0]
    assert logits.min() == 0
    assert logits.max() == 1
    for axis in (0, 1):
        assert float(logits.diff(dim=axis).abs().max()) < 1.5 / 16


@pytest.mark.parametrize("window", [64, 96])
def test_windows_are_as_large_as_the_crops_of_training(window):
    network = Local()
    make(network, 200, window).segment(noise(200, 300, 3))
    assert {shape[2:] for shape in network.windows} == {(window, window)}


def test_a_picture_smaller_than_a_window_is_seen_in_one_pass(network, monkeypatch):
    """And as the network alone sees it, where it needs no border."""
    monkeypatch.setattr(work, "mixed_precision", lambda device, wanted: nullcontext())
    pixels = disks(3, 64)[0]
    planes = torch.from_numpy(np.moveaxis(pixels, 2, 0).copy())[None].float() / 255
    with torch.no_grad():
        due = network(planes).softmax(dim=1)[0].numpy()
    np.testing.assert_allclose(make(network).shares(pixels), due, atol=1e-3)


def test_it_stops_within_a_picture():
    asked = []

    def should_stop():
        asked.append(1)
        return len(asked) == 3

    local = Local()
    with pytest.raises(Cancelled, match="Stopped within a picture; nothing of it is written"):
        make(local, 200).segment(noise(200, 300, 3), should_stop=should_stop)
    assert len(local.windows) == 2
