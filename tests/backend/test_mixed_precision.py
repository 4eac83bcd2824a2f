"""Networks train in half precision only where that is faster, and where it is wanted."""

import pytest
import torch

from napari_medssl.backend.mixed_precision import mixed_precision

ASKS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def dtype_of_a_convolution(wanted):
    network = torch.nn.Conv2d(1, 2, 3)
    with mixed_precision("cpu", wanted):
        return network(torch.zeros(1, 1, 8, 8)).dtype


@pytest.mark.parametrize("which", [None, *ASKS])
def test_a_cpu_computes_in_half_precision_where_it_can(monkeypatch, which):
    for ask in ASKS:
        monkeypatch.setattr(torch.cpu, ask, lambda ask=ask: ask == which, raising=False)
    assert dtype_of_a_convolution(True) == (torch.bfloat16 if which else torch.float32)
    assert dtype_of_a_convolution(False) == torch.float32


def test_a_torch_that_cannot_be_asked_stays_in_full_precision(monkeypatch):
    for ask in ASKS:
        monkeypatch.delattr(torch.cpu, ask, raising=False)
    assert dtype_of_a_convolution(True) == torch.float32
