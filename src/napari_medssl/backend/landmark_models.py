"""Models that landmarks are matched by, by name or from a file.

- "imagenet-landmarks": EfficientNet-Lite0 as ImageNet trained it, which needs no training and fits
  any kind of image
- "untrained-landmarks": the same network at random, a baseline
- NAME or NAME.safetensors: a model of `medssl train local-discrimination`. Its card may hold
  `config["landmarks"]`: settings of matching, see `MatchSettings`, and "beside", the name of a
  model whose maps are used as well
- "A+B": the maps of both
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.jobs import Cancelled, ShouldStop, never
from napari_medssl.backend.landmark_features import (
    LandmarkModel,
    LandmarkModelInfo,
    Maps,
    MatchSettings,
)
from napari_medssl.backend.landmark_pictures import to_planes
from napari_medssl.backend.models import file_sha256, find_weights, list_models, load_card

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medssl.backend.pixel_embedding import PixelEmbedder
    from napari_medssl.methods.siamese.trunk import EfficientNetLite0

IMAGENET = "imagenet-landmarks"
UNTRAINED = "untrained-landmarks"

_PIPELINE = "1"  # of identities: raise it when maps of the same weights come out otherwise
_COARSE_CELLS = 32
_FINE_CELLS = 64
_WIDTHS = (384, 512)  # pixels across that the trunk looks at
_COARSE_STAGES = (3, 4, 5, 6)
_FINE_STAGES = (3, 4)


class TrunkLandmarks:
    """The stages of EfficientNet-Lite0, each brought to mean 0 and deviation 1 over the image.

    Parameters
    ----------
    info
        What it is.
    trunk
        With weights.
    device
        Torch name of where it runs.
    """

    def __init__(self, info: LandmarkModelInfo, trunk: EfficientNetLite0, device: str) -> None:
        import torch

        self.info = info
        self._device = device
        self._trunk = trunk.eval().to(device)
        if device == "cpu":
            # `nn.Module.to` has no typed overload for a memory format alone.
            self._trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def maps(
        self, pixels: NDArray[np.uint8], should_stop: ShouldStop = never
    ) -> tuple[Maps, tuple[Maps, ...]]:
        """Return the coarse map and one fine map for each width, float16 (D, H, W)."""
        import torch

        ratio = pixels.shape[0] / pixels.shape[1]
        coarse, fine = [], []
        for width in _WIDTHS:
            if should_stop():
                raise Cancelled("Stopped while an image was looked at; nothing is written.")
            planes = to_planes(pixels, width)
            with torch.inference_mode():
                stages = self._stages(torch.from_numpy(planes).to(self._device)[None])
                coarse = [stages[at] for at in _COARSE_STAGES]  # of the last, the widest, alone
                fine.append(_joined([stages[at] for at in _FINE_STAGES], _FINE_CELLS, ratio))
        return _as_maps(_joined(coarse, _COARSE_CELLS, ratio)), tuple(map(_as_maps, fine))

    def _stages(self, pixels: Tensor) -> list[Tensor]:
        """Return the maps after each stage of pixels (1, 3, H, W), each (D, H', W')."""
        from napari_medssl.methods.siamese.trunk import normalise_pixels

        maps, found = self._trunk.stem(normalise_pixels(pixels)), []
        for stage in self._trunk.blocks:
            maps = stage(maps)
            found.append(maps[0])
        return found


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
    """The maps of several models side by side: their cosines are averaged."""

    def __init__(self, models: Sequence[LandmarkModel], settings: MatchSettings) -> None:
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
        # Unit vectors side by side have length sqrt(n); the cosine of the whole is their mean.
        coarse = np.concatenate([maps for maps, _ in found]) / np.sqrt(len(found))
        # Each model counts alike, however many fine maps it has.
        most = max(len(fine) for _, fine in found)
        return coarse.astype(np.float16), tuple(
            fine[at % len(fine)] for _, fine in found for at in range(most)
        )


def list_landmark_models() -> tuple[str, ...]:
    """Return the names that `load_landmark_model` knows, trained ones first."""
    from napari_medssl.backend.pixel_embedding import TASK

    trained = [model.card.name for model in list_models() if model.card.task == TASK]
    return (*trained, IMAGENET)


def load_landmark_model(name_or_file: str | Path, device: str = "auto") -> LandmarkModel:
    """Return a model of landmarks, see the top of this module.

    Raises
    ------
    UserError
        If there is none, it is for another task, or its file cannot or must not be read.
    """
    from napari_medssl.backend.device import choose_device

    parts = str(name_or_file).split("+")
    if len(parts) > 1 and not Path(name_or_file).exists():
        models = [load_landmark_model(part, device) for part in parts]
        return JointLandmarks(models, models[0].info.settings)
    if name_or_file == IMAGENET:
        return _imagenet(choose_device(device))
    if name_or_file == UNTRAINED:
        return _untrained(choose_device(device))
    return _trained(name_or_file, device)


def _imagenet(device: str) -> LandmarkModel:
    from napari_medssl.backend.trunks import IMAGENET_TRUNK, load_imagenet_trunk

    weights = file_sha256(find_weights(IMAGENET_TRUNK))
    info = LandmarkModelInfo(
        IMAGENET, f"{IMAGENET}-{_PIPELINE}-{weights}", _TRUNK_SETTINGS, "any kind of image"
    )
    return TrunkLandmarks(info, load_imagenet_trunk(), device)


def _untrained(device: str) -> LandmarkModel:
    import torch

    from napari_medssl.methods.siamese.trunk import EfficientNetLite0

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the same network each time, or its maps would not compare
        trunk = EfficientNetLite0()
    # It knows no score that tells presence, so it never abstains.
    settings = replace(
        _TRUNK_SETTINGS, least_score=-1.0, most_cycle=float("inf"), least_likeness=-1.0
    )
    info = LandmarkModelInfo(UNTRAINED, f"{UNTRAINED}-{_PIPELINE}", settings, "a baseline")
    return TrunkLandmarks(info, trunk, device)


def _trained(name_or_file: str | Path, device: str) -> LandmarkModel:
    from napari_medssl.backend.pixel_embedding import TASK, load_pixel_embedder

    known = [model.card.name for model in list_models()]
    is_name = not isinstance(name_or_file, Path) and Path(name_or_file).suffix == ""
    if is_name and name_or_file not in known and not Path(name_or_file).exists():
        raise UserError(
            f"No model of landmarks is named {str(name_or_file)!r}. Choose one of "
            f"{', '.join(list_landmark_models())}, or give a file of "
            "`medssl train local-discrimination`, NAME.safetensors."
        )
    card = load_card(name_or_file)
    if card.task != TASK:
        raise UserError(
            f"Model {card.name!r} is for the task {card.task!r}; landmarks want one for {TASK!r}, "
            "of `medssl train local-discrimination`."
        )
    embedder = load_pixel_embedder(name_or_file, device)
    wanted = card.config.get("landmarks", {})
    info = LandmarkModelInfo(
        card.name,
        f"pixels-{_PIPELINE}-{embedder.info.sha256}",
        _settings_of(wanted, card.name),
        card.description,
    )
    model = PixelLandmarks(info, embedder)
    if not wanted.get("beside"):
        return model
    beside = load_landmark_model(str(wanted["beside"]), device)
    joint = JointLandmarks([model, beside], info.settings)
    joint.info = replace(joint.info, name=card.name)  # one model to whoever asked for it
    return joint


# The least likeness lies between pairs of chest X-rays of `pretrain/chest_xray` (0.21 to 0.40) and
# pairs of them with eyes and hearts (at most 0.17), on which nothing is scored.
_TRUNK_SETTINGS = MatchSettings(smoothness=3.3, least_score=0.2, least_likeness=0.19)
_PIXEL_SETTINGS = MatchSettings(window=9, sigma=0.25, smoothness=3.3)


def _settings_of(wanted: dict[str, Any], name: str) -> MatchSettings:
    """Return the settings that a card asks for, the usual ones for what it does not say."""
    kinds = {
        field.name: type(getattr(_PIXEL_SETTINGS, field.name)) for field in fields(MatchSettings)
    }
    try:
        given: dict[str, Any] = {key: kinds[key](wanted[key]) for key in kinds if key in wanted}
        return replace(_PIXEL_SETTINGS, **given)
    except (TypeError, ValueError):
        raise UserError(
            f"The card of model {name!r} has settings of landmarks that are no numbers: {wanted!r}."
            " Copy or train the model again."
        ) from None


def _joined(stages: list[Tensor], cells: int, ratio: float) -> Tensor:
    """Return maps of some stages as one, unit length, shape (D, H, `cells`)."""
    import torch
    from torch.nn import functional as F

    parts = []
    for maps in stages:
        spread = maps.std(dim=(1, 2), keepdim=True).clamp(min=1e-3)
        even = (maps - maps.mean(dim=(1, 2), keepdim=True)) / spread
        size = (max(1, round(cells * ratio)), cells)
        even = F.interpolate(even[None], size=size, mode="bilinear", align_corners=False)[0]
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
