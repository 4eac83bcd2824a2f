"""Encoders of tiles by name: ours, baselines beside it, and networks of the user's in ONNX files.

More than 300 lines: a registry, whose entries are short and are read together.

An encoder turns uint8 RGB tiles into embeddings of unit length, and says which tiles it wants:

- the name of a model whose card has the task "encoder", such as "siamese-tissue", which is shipped,
  or "autoencoder" (z of it with "#z" behind), or "local-discrimination" (pooled over the pixels),
  or its file NAME.safetensors
- "imagenet": EfficientNet-Lite0 as ImageNet trained it; "untrained": the same at random
- "histogram": colours alone
- NAME.onnx with NAME.json beside it, see `backend.onnx_encoder`

TorchScript and pickled files can run code when they are opened; they are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.autoencoder_config import TASK as AUTOENCODER_TASK
from napari_medssl.backend.autoencoder_config import split_head
from napari_medssl.backend.contrastive_config import ARCHITECTURE as CONTRASTIVE_ARCHITECTURE
from napari_medssl.backend.models import find_weights, list_models, load_card, read_weights
from napari_medssl.backend.trunks import load_contrastive_trunk, load_imagenet_trunk, random_trunk

if TYPE_CHECKING:
    from torch import Tensor, nn

    from napari_medssl.backend.models import ModelCard
    from napari_medssl.methods.siamese.trunk import EfficientNetLite0

Tiles = NDArray[np.uint8]
Embeddings = NDArray[np.float32]

SIAMESE_ARCHITECTURE = "siamese efficientnet-lite0"
ENCODER_TASK = "encoder"
PIXEL_TASK = "local-discrimination"
DEFAULT_ENCODER = "siamese-tissue"
_HALF = (0.5, 0.5, 0.5)
_BINS = 8  # of each colour: 512 in all
_SHARED: tuple[Literal["C"], Literal["W"]] = ("C", "W")  # torch warns of memory not to be written


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What an encoder is and what tiles it wants.

    Attributes
    ----------
    name
        As it is asked for; for a file its name without folder and suffix.
    dim
        Dimensions of an embedding, D.
    pixels
        Side of a tile, S.
    mpp
        Microns per pixel that it is meant for; None where any will do.
    mean, std
        What is taken from and divided out of each channel of RGB from 0 to 1.
    stain
        Stain reference that tiles are to be normalised to first, "" for none.
    sha256
        Of the weights; "" where there are none. Embeddings of different sums do not compare.
    preprocessing
        What a file of the user's, rather than the program, says of `mean` and `std`, in words; ""
        where none does. Embeddings of different ones do not compare.
    """

    name: str
    dim: int
    pixels: int = 224
    mpp: float | None = None
    mean: tuple[float, float, float] = _HALF
    std: tuple[float, float, float] = _HALF
    stain: str = ""
    sha256: str = ""
    preprocessing: str = ""


class Encoder(Protocol):
    """Turns tiles into embeddings."""

    @property
    def info(self) -> EncoderInfo:
        """What it is."""
        ...

    def embed(self, tiles: Tiles) -> Embeddings:
        """Return unit-length embeddings, float32 (B, D), of uint8 RGB tiles (B, S, S, 3)."""
        ...


def check_tiles(info: EncoderInfo, tiles: Tiles) -> None:
    """Raise ValueError unless the tiles are what the encoder wants."""
    due = (info.pixels, info.pixels, 3)
    if tiles.dtype != np.uint8 or tiles.ndim != 4 or tiles.shape[1:] != due:
        raise ValueError(
            f"Tiles of {tiles.dtype} {tiles.shape} came; encoder {info.name!r} wants uint8 "
            f"(B, {', '.join(map(str, due))})."
        )


def unit_length(values: NDArray[np.floating]) -> Embeddings:
    """Return the rows of unit length, float32; a row of zeros stays."""
    length = np.linalg.norm(values, axis=1, keepdims=True)
    unit: Embeddings = (values / np.maximum(length, 1e-12)).astype(np.float32)
    return unit


class TorchEncoder:
    """A torch network as an encoder; it scales pixels itself.

    Parameters
    ----------
    info
        What it is.
    network
        From RGB tiles (B, 3, S, S), 0 to 255, to values (B, D).
    device
        Torch name of where it runs.
    """

    def __init__(self, info: EncoderInfo, network: nn.Module, device: str) -> None:
        import torch

        self.info = info
        self._device = device
        self._network = network.eval().to(device)
        if device == "cpu":
            # `nn.Module.to` has no typed overload for a memory format alone.
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def embed(self, tiles: Tiles) -> Embeddings:
        """Return unit-length embeddings, float32 (B, D), of uint8 RGB tiles (B, S, S, 3)."""
        import torch

        check_tiles(self.info, tiles)
        if not len(tiles):
            return np.empty((0, self.info.dim), np.float32)
        # As they lie in memory, tiles are channels-last already.
        pixels = torch.from_numpy(np.require(tiles, requirements=_SHARED)).permute(0, 3, 1, 2)
        with torch.inference_mode():
            values: Tensor = self._network(pixels.to(self._device).float())
        return unit_length(values.float().cpu().numpy())

    def local(self, tiles: Tiles) -> Embeddings | None:
        """Return what each place brings, see `backend.local_maps`; None if that is not known."""
        import torch

        check_tiles(self.info, tiles)
        local: Callable[[Tensor], Tensor] | None = getattr(self._network, "local", None)
        if local is None:
            return None
        pixels = torch.from_numpy(np.require(tiles, requirements=_SHARED)).permute(0, 3, 1, 2)
        with torch.inference_mode():
            values = local(pixels.to(self._device).float())
        return np.ascontiguousarray(values.float().permute(0, 2, 3, 1).cpu().numpy())


class HistogramEncoder:
    """Square roots of the counts of 512 colours: what colour alone can tell.

    The cosine of two roots is the Bhattacharyya coefficient of their distributions.
    """

    info = EncoderInfo(name="histogram", dim=_BINS**3)

    def embed(self, tiles: Tiles) -> Embeddings:
        """Return unit-length embeddings, float32 (B, 512), of uint8 RGB tiles (B, S, S, 3)."""
        check_tiles(self.info, tiles)
        bins = tiles.reshape(len(tiles), self.info.pixels**2, 3).astype(np.int64) * _BINS // 256
        place = (bins[..., 0] * _BINS + bins[..., 1]) * _BINS + bins[..., 2]
        counts = [np.bincount(row, minlength=_BINS**3) for row in place]
        return unit_length(np.sqrt(np.array(counts, np.float32).reshape(len(tiles), _BINS**3)))


def _imagenet(device: str) -> Encoder:
    from napari_medssl.backend.models import file_sha256
    from napari_medssl.backend.trunks import IMAGENET_TRUNK
    from napari_medssl.methods.siamese.trunk import TRUNK_DIM

    info = EncoderInfo(
        name="imagenet", dim=TRUNK_DIM, sha256=file_sha256(find_weights(IMAGENET_TRUNK))
    )
    return TorchEncoder(info, _scaled(load_imagenet_trunk()), device)


def _untrained(device: str) -> Encoder:
    from napari_medssl.methods.siamese.trunk import TRUNK_DIM

    # The same network each time, or its embeddings would not compare.
    return TorchEncoder(EncoderInfo("untrained", TRUNK_DIM), _scaled(random_trunk(0)), device)


def _scaled(trunk: EfficientNetLite0) -> nn.Module:
    """Return the trunk with the scaling of its pixels before it."""
    from torch import nn

    from napari_medssl.methods.siamese.trunk import normalise_pixels

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = trunk

        def forward(self, pixels: Tensor) -> Tensor:
            out: Tensor = self.trunk(normalise_pixels(pixels))
            return out

        def local(self, pixels: Tensor) -> Tensor:
            out: Tensor = trunk.top(trunk.blocks(trunk.stem(normalise_pixels(pixels))))
            return out

    return Scaled()


_BASELINES: Mapping[str, Callable[[str], Encoder]] = {
    "imagenet": _imagenet,
    "histogram": lambda device: HistogramEncoder(),
    "untrained": _untrained,
}


def list_encoders() -> tuple[str, ...]:
    """Return the names that `make_encoder` knows, trained ones first."""
    tasks = (ENCODER_TASK, AUTOENCODER_TASK, PIXEL_TASK)
    trained = [model.card.name for model in list_models() if model.card.task in tasks]
    return (*trained, *_BASELINES)


def make_encoder(name_or_file: str, device: str = "auto") -> Encoder:
    """Return an encoder by its name or from a file.

    Parameters
    ----------
    name_or_file
        See the top of this module.
    device
        "auto", "cpu", "cuda" or "mps".

    Raises
    ------
    UserError
        If there is none, it is no encoder, or its file cannot or must not be read.
    """
    from napari_medssl.backend.device import choose_device

    suffix = Path(name_or_file).suffix.lower()
    if suffix == ".onnx":
        from napari_medssl.backend.onnx_encoder import OnnxEncoder

        return OnnxEncoder(Path(name_or_file).expanduser())
    if name_or_file in _BASELINES:
        return _BASELINES[name_or_file](choose_device(device))
    name_or_file, head = split_head(name_or_file)
    is_file = suffix != "" or "/" in name_or_file or "\\" in name_or_file
    if not is_file and name_or_file not in list_encoders():
        raise UserError(
            f"No encoder is named {name_or_file!r}. Choose one of {', '.join(list_encoders())}, "
            "or give a file, NAME.safetensors of a training of ours or NAME.onnx."
        )
    weights = find_weights(name_or_file)  # refuses what is pickled
    card = load_card(name_or_file)
    if card.task == AUTOENCODER_TASK or head:
        from napari_medssl.backend.autoencoder_encoder import autoencoder_encoder

        return autoencoder_encoder(weights, card, choose_device(device), head)
    if card.task == PIXEL_TASK:
        from napari_medssl.backend.pooled_pixels import pooled_pixels

        return pooled_pixels(name_or_file, device)
    if card.architecture == CONTRASTIVE_ARCHITECTURE:
        return _contrastive(weights, card, choose_device(device))
    return _siamese(weights, card, choose_device(device))


def _contrastive(weights: Path, card: ModelCard, device: str) -> Encoder:
    from napari_medssl.backend.models import file_sha256
    from napari_medssl.methods.siamese.trunk import TRUNK_DIM

    trunk, _ = load_contrastive_trunk(weights)
    info = EncoderInfo(
        name=card.name,
        dim=TRUNK_DIM,
        pixels=int(card.config["pixels"]),
        sha256=card.sha256 or file_sha256(weights),
    )
    return TorchEncoder(info, _scaled(trunk), device)


def _siamese(weights: Path, card: ModelCard, device: str) -> Encoder:
    from napari_medssl.backend.models import file_sha256
    from napari_medssl.methods.siamese.network import NetworkConfig, SiameseNetwork

    if card.task != ENCODER_TASK or card.architecture != SIAMESE_ARCHITECTURE:
        raise UserError(
            f"Model {card.name!r} is for the task {card.task!r}, not an encoder of tiles. "
            f"Choose one of {', '.join(list_encoders())}."
        )
    state, _ = read_weights(weights)
    try:
        shape = NetworkConfig(int(card.config["dim"]), tuple(card.config["stages"]))
        network = SiameseNetwork(shape)
        due = network.state_dict()
        network.load_state_dict({key: value.to(due[key].dtype) for key, value in state.items()})
        info = EncoderInfo(
            name=card.name,
            dim=shape.dim,
            pixels=int(card.config["pixels"]),
            mpp=float(card.config["mpp"]),
            stain=str(card.config.get("stain", "")),
            sha256=card.sha256 or file_sha256(weights),
        )
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise UserError(
            f"Model {card.name!r} does not fit the network that its card describes: "
            f"{str(error).strip().splitlines()[0]}. Train it again, or copy both files again."
        ) from None
    return TorchEncoder(info, network, device)
