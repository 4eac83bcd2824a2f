"""Local embeddings of tiles: what each of their places brings to the embedding of the whole.

Networks that end in a mean over places and a linear head have them, see
`methods.siamese.correspondence`: those trained here, and ImageNet's. Colour histograms and networks
in ONNX files do not.
"""

from __future__ import annotations

from napari_medssl._errors import UserError
from napari_medssl.backend.encoders import Embeddings, Encoder, Tiles, TorchEncoder


def local_embeddings(encoder: Encoder, tiles: Tiles) -> Embeddings:
    """Return local embeddings, float32 (B, H, W, D), of uint8 RGB tiles (B, S, S, 3).

    They are not of unit length; their mean over places, brought to unit length, is what
    `encoder.embed` gives.

    Raises
    ------
    UserError
        If the encoder has none.
    """
    found = encoder.local(tiles) if isinstance(encoder, TorchEncoder) else None
    if found is None:
        raise UserError(
            f"Encoder {encoder.info.name!r} gives no maps of a tile, so which patches correspond "
            "cannot be told. Those trained here and 'imagenet' give them."
        )
    return found
