"""Regions of slides in the GeoJSON of QuPath: read and write without loss.

`Feature` is an object of QuPath with its `Roi` in pixels of level 0; `read_geojson` gives a
`FeatureFile` of them, `write_geojson` writes them. What is read and not changed is written as it
stood in the file, unknown members included.
"""

from __future__ import annotations

from napari_medssl.io.geojson.feature import Feature, Plane, Roi, flatten
from napari_medssl.io.geojson.reader import FeatureFile, read_geojson
from napari_medssl.io.geojson.writer import write_geojson

__all__ = [
    "Feature",
    "FeatureFile",
    "Plane",
    "Roi",
    "flatten",
    "read_geojson",
    "write_geojson",
]
