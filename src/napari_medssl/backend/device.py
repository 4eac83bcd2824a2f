"""Where tensors live: CUDA, Apple's MPS or the CPU, from an option or a setting."""

from __future__ import annotations

from dataclasses import dataclass

from napari_medssl._errors import UserError

DEVICE_CHOICES = ("auto", "cuda", "mps", "cpu")


@dataclass(frozen=True, slots=True)
class Device:
    """A device torch can use here: its torch name, a title for people, its memory if known."""

    name: str
    title: str
    memory_bytes: int | None = None


def list_devices() -> tuple[Device, ...]:
    """Return the devices of this machine, fastest first; the CPU is always the last."""
    import torch

    found = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(index)
            found.append(Device(f"cuda:{index}", about.name, about.total_memory))
    if torch.backends.mps.is_available():
        found.append(Device("mps", "Apple GPU"))
    threads = torch.get_num_threads()
    found.append(Device("cpu", f"CPU, {threads} thread{'' if threads == 1 else 's'}"))
    return tuple(found)


def choose_device(wanted: str = "auto") -> str:
    """Return the torch name of the device to use.

    Parameters
    ----------
    wanted
        "auto" (the fastest one there is), "cuda", "cuda:1", "mps" or "cpu".

    Raises
    ------
    UserError
        If `wanted` is no device, or this machine does not have it.
    """
    kind, _, index = wanted.strip().lower().partition(":")
    if kind not in DEVICE_CHOICES or (index and (kind != "cuda" or not index.isdecimal())):
        raise UserError(
            f"Device {wanted!r} is unknown: choose one of {', '.join(DEVICE_CHOICES)}, "
            "or 'cuda:1' for the second GPU."
        )
    if kind == "cpu":
        return "cpu"
    if kind == "cuda" and int(index or 0) < count_gpus():
        return f"cuda:{int(index or 0)}"
    present = [device.name for device in list_devices()]
    if kind == "auto":
        return present[0]
    if kind not in present:
        raise UserError(
            f"Device {wanted!r} is not on this machine, which has {', '.join(present)}. "
            "Use --device auto, or see `medssl doctor` for what is missing."
        )
    return kind


def count_gpus() -> int:
    """Return how many there are, without taking memory on them as asking for their names does."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
