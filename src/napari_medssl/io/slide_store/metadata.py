"""The zarr and OME documents of a store: what another reader needs, and nothing about a patient.

OME-Zarr 0.5 on zarr v3. The axes are c, y, x, as the standard orders them; inside the files each
chunk holds whole pixels, red, green, blue (zarr's "transpose" codec), so that a reader gets them
without moving bytes.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

from napari_medssl.io.slide_store.plan import FILL, SHARD, StorePlan, StoreSettings
from napari_medssl.io.slide_store.shard_codec import JPEG_QUALITY, ZSTD_LEVEL
from napari_medssl.io.slide_store.source import SlideSource

ICC_FILE = "profile.icc"
PROVENANCE = "medssl"
"""Name of the group attribute that says where the pixels come from."""

_COLORS = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))
_ALLOWED = ("openslide.vendor", "openslide.objective-power")
_LONGEST_VALUE = 64


def store_documents(
    source: SlideSource, plan: StorePlan, settings: StoreSettings
) -> dict[str, bytes]:
    """Return every file of a store but its shards and its manifest, by place below the store.

    Label, macro, file names, dates and free text of the slide are left behind.
    """
    documents = {"zarr.json": _json(_group(source, plan, settings))}
    for level, size in enumerate(plan.sizes):
        documents[f"{level}/zarr.json"] = _array(size, settings)
    profile = source.slide.read_icc_profile()
    if profile is not None:
        documents[ICC_FILE] = profile
    return documents


def _group(source: SlideSource, plan: StorePlan, settings: StoreSettings) -> dict[str, Any]:
    about = {
        "fingerprint": source.slide.fingerprint,
        "properties": {
            key: value[:_LONGEST_VALUE]
            for key, value in sorted(source.slide.properties.items())
            if key in _ALLOWED
        },
    }
    ome = {"version": "0.5", "multiscales": [_multiscale(source, plan)], "omero": _omero()}
    made: dict[str, Any] = {"slide": about}
    if settings.codec == "jpeg":
        # Readers have to tell zarr about it before they open a level.
        made["codec"] = "imagecodecs_jpeg"
    return {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {"ome": ome, PROVENANCE: made},
    }


def _multiscale(source: SlideSource, plan: StorePlan) -> dict[str, Any]:
    mpp = source.mpp
    unit = {} if mpp is None else {"unit": "micrometer"}
    x, y = mpp or (1.0, 1.0)
    datasets = []
    for level in range(len(plan.sizes)):
        factor = float(2**level)
        steps: list[dict[str, Any]] = [
            {"type": "scale", "scale": [1.0, y * factor, x * factor]},
        ]
        if level:
            # The centre of the first pixel lies between the centres that it is the mean of.
            shift = (factor - 1) / 2
            steps.append({"type": "translation", "translation": [0.0, y * shift, x * shift]})
        datasets.append({"path": str(level), "coordinateTransformations": steps})
    return {
        "name": "slide",
        "axes": [
            {"name": "c", "type": "channel"},
            {"name": "y", "type": "space", **unit},
            {"name": "x", "type": "space", **unit},
        ],
        "datasets": datasets,
        "type": "mean",
        "metadata": {"description": "Mean of 2 x 2 pixels, rounded to the nearest, halves up."},
    }


def _omero() -> dict[str, Any]:
    window = {"min": 0, "max": 255, "start": 0, "end": 255}
    channels = [
        {"label": label, "color": color, "active": True, "window": dict(window)}
        for label, color in _COLORS
    ]
    return {"channels": channels, "rdefs": {"model": "color", "defaultZ": 0, "defaultT": 0}}


def _array(size: tuple[int, int], settings: StoreSettings) -> bytes:
    """Return the document of a level as zarr itself writes it."""
    import zarr
    from zarr.codecs import TransposeCodec, ZstdCodec

    width, height = size
    chunk = settings.chunk
    options: dict[str, Any] = {"compressors": [ZstdCodec(level=ZSTD_LEVEL, checksum=True)]}
    if settings.codec == "jpeg":
        options = {"serializer": _jpeg_codec(), "compressors": None}
    files: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.create_array(
            zarr.storage.MemoryStore(files),
            shape=(3, height, width),
            chunks=(3, chunk, chunk),
            shards=(3, SHARD, SHARD),
            dtype="uint8",
            fill_value=FILL,
            filters=[TransposeCodec(order=(1, 2, 0))],
            dimension_names=("c", "y", "x"),
            **options,
        )
    return bytes(files["zarr.json"].to_bytes())


def _jpeg_codec() -> Any:
    from imagecodecs import zarr as codecs

    from napari_medssl.io.slides.zarr_store import learn_jpeg

    learn_jpeg()
    return codecs.Jpeg(level=JPEG_QUALITY)


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2, allow_nan=False).encode()
