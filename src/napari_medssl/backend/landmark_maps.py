"""What turns an image into the maps that landmarks are matched by: three kinds of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.jobs import Cancelled, ShouldStop, never
from napari_medssl.backend.landmark_features import (
    LandmarkModel,
    LandmarkModelInfo,
    Maps,
    MatchSettings,
)
from napari_medssl.backend.landmark_pictures import to_planes
from napari_medssl.backend.trunk_statistics import TrunkStatistics

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medssl.backend.pixel_embedding import PixelEmbedder
    from napari_medssl.methods.siamese.trunk import EfficientNetLite0

WIDTHS = (384, 512)
"""Pixels across that the trunk looks at."""

_COARSE_CELLS = 32
_FINE_CELLS = 64
_COARSE_STAGES = (3, 4, 5, 6)
_FINE_STAGES = (3, 4)


class TrunkLandmarks:
    """The stages of EfficientNet-Lite0, each brought to mean 0 and deviation 1.

    Parameters
    ----------
    info
        What it is.
    trunk
        With weights.
    device
        Torch name of where it runs.
    statistics
        Of the images of a modality; None takes those of each image.
    """

    def __init__(
        self,
        info: LandmarkModelInfo,
        trunk: EfficientNetLite0,
        device: str,
        statistics: TrunkStatistics | None = None,
    ) -> None:
        import torch

        self.info = info
        self._device, self._statistics = device, statistics
        self._trunk = trunk.eval().to(device)
        if device == "cpu":
            # `nn.Module.to` has no typed overload for a memory format alone.
            self._trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def maps(
        self, pixels: NDArray[np.uint8], should_stop: ShouldStop = never
    ) -> tuple[Maps, tuple[Maps, ...]]:
        """Return the coarse map and one fine map for each width, float16 (D, H, W)."""
        ratio = pixels.shape[0] / pixels.shape[1]
        coarse, fine = [], []
        for width in WIDTHS:
            if should_stop():
                raise Cancelled("Stopped while an image was looked at; nothing is written.")
            stages = {
                number: self._even(maps, width, number)
                for number, maps in self.stages(pixels, width).items()
            }
            coarse = [stages[at] for at in _COARSE_STAGES]  # of the last, the widest, alone
            fine.append(_joined([stages[at] for at in _FINE_STAGES], _FINE_CELLS, ratio))
        return _as_maps(_joined(coarse, _COARSE_CELLS, ratio)), tuple(map(_as_maps, fine))

    def stages(self, pixels: NDArray[np.uint8], width: int) -> dict[int, Tensor]:
        """Return the maps of a picture at a width in pixels, (D, H', W'), by number of stage."""
        import torch

        from napari_medssl.methods.siamese.trunk import normalise_pixels

        found = {}
        with torch.inference_mode():
            planes = torch.from_numpy(to_planes(pixels, width)).to(self._device)
            maps = self._trunk.stem(normalise_pixels(planes[None]))
            for number, stage in enumerate(self._trunk.blocks):
                maps = stage(maps)
                if number in _COARSE_STAGES:  # the fine ones are among them
                    found[number] = maps[0]
        return found

    def _even(self, maps: Tensor, width: int, stage: int) -> Tensor:
        if self._statistics is not None:
            return self._statistics.even(maps, width, stage)
        spread = maps.std(dim=(1, 2), keepdim=True).clamp(min=1e-3)
        return (maps - maps.mean(dim=(1, 2), keepdim=True)) / spread


class PixelLandmarks:
    """Embeddings of pixels, averaged to cells: a model of `medssl train local-discrimination`.

    Parameters
    ----------
    info
        What it is.
    embedder
        The model.
    """

    def __init__(self, info: LandmarkModelInfo, embedder: PixelEmbedder) -> None:
        self.info = info
        self._embedder = embedder

    def maps(
        self, pixels: NDArray[np.uint8], should_stop: ShouldStop = never
    ) -> tuple[Maps, tuple[Maps, ...]]:
        """Return the coarse and the fine averages, float16 (D, H, W)."""
        import torch

        found = self._embedder.embed_image(
            self._embedder.resize(pixels), half=False, should_stop=should_stop
        )
        maps = torch.from_numpy(np.moveaxis(found, 2, 0).copy())
        ratio = pixels.shape[0] / pixels.shape[1]
        coarse, fine = (_averaged(maps, cells, ratio) for cells in (_COARSE_CELLS, _FINE_CELLS))
        return _as_maps(coarse), (_as_maps(fine),)


class JointLandmarks:
    """The maps of several models side by side: their cosines are averaged.

    Parameters
    ----------
    models
        At least one.
    settings
        How the maps of all are searched.
    shares
        How much each counts; they are made to add up to 1. Alike by default.
    """

    def __init__(
        self,
        models: Sequence[LandmarkModel],
        settings: MatchSettings,
        shares: Sequence[float] | None = None,
    ) -> None:
        counts = np.ones(len(models)) if shares is None else np.asarray(shares, np.float64)
        self._shares = counts / counts.sum()
        infos = [model.info for model in models]
        self._models = tuple(models)
        self.info = LandmarkModelInfo(
            name="+".join(info.name for info in infos),
            identity="+".join(info.identity for info in infos),
            settings=settings,
            about="; ".join(info.about for info in infos),
        )

    def maps(
        self, pixels: NDArray[np.uint8], should_stop: ShouldStop = never
    ) -> tuple[Maps, tuple[Maps, ...]]:
        """Return one coarse map of all, and the fine maps of each, float16 (D, H, W)."""
        found = [model.maps(pixels, should_stop) for model in self._models]
        # Side by side, scaled by the root of its share, each adds its share of its cosine, and the
        # whole is of unit length.
        roots = np.sqrt(self._shares).astype(np.float32)
        coarse = np.concatenate(
            [root * maps for root, (maps, _) in zip(roots, found, strict=True)], dtype=np.float32
        )
        # So are fine maps; of a model with fewer of them some stand twice.
        most = max(len(fine) for _, fine in found)
        return coarse.astype(np.float16), tuple(
            np.concatenate(
                [root * fine[at % len(fine)] for root, (_, fine) in zip(roots, found, strict=True)],
                dtype=np.float32,
            ).astype(np.float16)
            for at in range(most)
        )


def _joined(stages: list[Tensor], cells: int, ratio: float) -> Tensor:
    """Return maps of some stages as one, unit length, shape (D, H, `cells`)."""
    import torch
    from torch.nn import functional as F

    parts = []
    for maps in stages:
        size = (max(1, round(cells * ratio)), cells)
        even = F.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]
        parts.append(F.normalize(even, dim=0))
    return F.normalize(torch.cat(parts), dim=0)


def _averaged(maps: Tensor, cells: int, ratio: float) -> Tensor:
    """Return the averages of maps (D, H, W) over cells, unit length, shape (D, H', `cells`)."""
    from torch.nn import functional as F

    size = (max(1, round(cells * ratio)), cells)
    return F.normalize(F.adaptive_avg_pool2d(maps[None], size)[0], dim=0)


def _as_maps(maps: Tensor) -> Maps:
    found: Maps = maps.half().cpu().numpy()
    return found
