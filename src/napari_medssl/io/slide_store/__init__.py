"""Slides as OME-Zarr stores: written whole or resumed, checked by a manifest."""

from napari_medssl.io.slide_store.errors import ConversionStopped, StoreTakenError
from napari_medssl.io.slide_store.manifest import Manifest, read_manifest
from napari_medssl.io.slide_store.plan import Codec, FindTissue, StoreSettings
from napari_medssl.io.slide_store.verify import VerifyReport, check_sizes, verify_store
from napari_medssl.io.slide_store.writer import Step, StoreReport, write_store

__all__ = [
    "Codec",
    "ConversionStopped",
    "FindTissue",
    "Manifest",
    "Step",
    "StoreReport",
    "StoreSettings",
    "StoreTakenError",
    "VerifyReport",
    "check_sizes",
    "read_manifest",
    "verify_store",
    "write_store",
]
