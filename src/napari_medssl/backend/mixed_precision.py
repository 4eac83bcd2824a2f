"""Networks in half precision while they train, where that is faster.

A GPU computes in bfloat16, and so do CPUs with AVX512-BF16 or AMX: there a step takes a little more
than half the time. On other CPUs bfloat16 is slower than float32, and left alone. Losses are no
part of it: each method computes them in full precision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

AMP_HELP = "Mixed precision (bfloat16) where that is faster: on a GPU, and on some CPUs."


def mixed_precision(device: str, wanted: bool) -> torch.autocast:
    """Return the context in which to call a network on a device.

    Parameters
    ----------
    device
        Torch name, such as "cuda:0".
    wanted
        Whether the person wants it; without, nothing changes.
    """
    import torch

    kind = device.split(":")[0]
    return torch.autocast(kind, torch.bfloat16, enabled=wanted and _is_faster(kind))


def _is_faster(kind: str) -> bool:
    import torch

    if kind == "cuda":
        return True
    # Torch has no public question for it.
    asks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return kind == "cpu" and any(getattr(torch.cpu, ask, bool)() for ask in asks)
