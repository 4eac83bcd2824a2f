"""Losses are computed in full precision, whatever the networks before them are computed in.

A similarity divided by a temperature of 0.01 has two digits in bfloat16.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

_P = ParamSpec("_P")
_R = TypeVar("_R")


def in_full_precision(loss: Callable[_P, _R]) -> Callable[_P, _R]:
    """Return the function with its half precision tensors made float32, and autocast off."""
    call: Callable[..., _R] = loss

    @functools.wraps(loss)
    def with_wide_tensors(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        given = (*args, *kwargs.values())
        kinds = {value.device.type for value in given if isinstance(value, Tensor)}
        kind = next(iter(kinds - {"cpu"}), "cpu")
        with torch.autocast(kind, enabled=False):
            named = {name: _widened(value) for name, value in kwargs.items()}
            return call(*map(_widened, args), **named)

    return with_wide_tensors


def _widened(value: object) -> object:
    is_half = isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if is_half and isinstance(value, Tensor) else value
