"""Choosing a device: what is there is given, what is not is refused in one line."""

import pytest
import torch

from napari_medssl._errors import UserError
from napari_medssl.backend.device import choose_device, list_devices


def test_list_devices_ends_with_the_cpu():
    assert list_devices()[-1].name == "cpu"


def test_auto_is_the_first_device_of_the_list():
    assert choose_device("auto") == list_devices()[0].name


def test_cpu_is_always_there():
    assert choose_device(" CPU ") == "cpu"


def test_a_chosen_device_holds_a_tensor():
    assert torch.zeros(1, device=choose_device("auto")).sum().item() == 0


@pytest.mark.parametrize("wanted", ["cuda:99", "cuda"])
def test_an_absent_gpu_is_refused_with_what_is_there(wanted, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=rf"'{wanted}' is not on this machine, which has .*cpu"):
        choose_device(wanted)


@pytest.mark.parametrize("wanted", ["gpu", "", "cpu:1", "cuda:x", "cuda:-1"])
def test_an_unknown_device_is_refused(wanted):
    with pytest.raises(UserError, match=f"'{wanted}' is unknown: choose one of auto, cuda"):
        choose_device(wanted)
