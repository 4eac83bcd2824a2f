"""Encoders of the user's own in ONNX files, run by onnxruntime.

Beside NAME.onnx lies NAME.json, which says what the network wants:

    {"pixels": 224, "mpp": 0.5, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}

`pixels`, `mean` and `std` are due, of RGB from 0 to 1; `mpp` and `stain` ("he") may be left out.
The network has one input, float32 (B, 3, S, S), and its first output, (B, D), is the embedding. The
file is read as a whole: weights in further files beside it are not looked for. A library keeps mean
and standard deviation beside the hash of the network, since embeddings of others do not compare.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend.encoders import (
    Embeddings,
    EncoderInfo,
    Tiles,
    check_tiles,
    unit_length,
)
from napari_medssl.backend.models import file_sha256
from napari_medssl.io.limits import one_line

_EXAMPLE = '{"pixels": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}'
_MOST_BYTES = 2**31  # the largest file of the format


class OnnxEncoder:
    """A network in an ONNX file.

    Parameters
    ----------
    path
        NAME.onnx; NAME.json lies beside it.

    Raises
    ------
    UserError
        If one of the files is missing or wrong, or onnxruntime is not installed.
    """

    def __init__(self, path: Path) -> None:
        wanted = _read_wants(path)
        self._session = _open(path)
        inputs, self._output = self._session.get_inputs(), self._session.get_outputs()[0].name
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type != "tensor(float)":
            came = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
            raise UserError(
                f"The network in {path.name!r} takes {came}; due is one float32 input "
                "(B, 3, S, S). Export it anew with tiles as its only input."
            )
        self._input, self._batch = inputs[0].name, inputs[0].shape[0]
        pixels = int(wanted["pixels"])
        fixed = [side for side in inputs[0].shape[2:] if isinstance(side, int)]
        if any(side != pixels for side in fixed):
            raise UserError(
                f"The network in {path.name!r} takes tiles of {fixed[0]} pixels, its JSON file "
                f"says {pixels}. Correct the file."
            )
        mean, std = wanted["mean"], wanted["std"]
        self._mean = np.array(mean, np.float32)[:, None, None]
        self._std = np.array(std, np.float32)[:, None, None]
        dim = self._run(np.zeros((1, 3, pixels, pixels), np.float32), path.name).shape[1]
        self.info = EncoderInfo(
            name=path.stem,
            dim=dim,
            pixels=pixels,
            mpp=wanted.get("mpp"),
            mean=tuple(mean),
            std=tuple(std),
            stain=wanted.get("stain", ""),
            sha256=file_sha256(path),
            preprocessing=f"mean {_listed(mean)}, std {_listed(std)}",
        )

    def embed(self, tiles: Tiles) -> Embeddings:
        """Return unit-length embeddings, float32 (B, D), of uint8 RGB tiles (B, S, S, 3)."""
        check_tiles(self.info, tiles)
        if not len(tiles):
            return np.empty((0, self.info.dim), np.float32)
        pixels = tiles.transpose(0, 3, 1, 2).astype(np.float32) / 255
        scaled = np.asarray((pixels - self._mean) / self._std, np.float32)
        values = self._run(scaled, self.info.name)
        if not np.isfinite(values).all():
            raise UserError(f"The network {self.info.name!r} gives values that are not finite.")
        return unit_length(values)

    def _run(self, pixels: NDArray[np.float32], name: str) -> NDArray[np.floating]:
        """Return the network's first output, shape (B, D), in batches if it wants one tile each."""
        step = self._batch if isinstance(self._batch, int) and self._batch > 0 else len(pixels)
        if step > 1 and len(pixels) % step:
            short = step - len(pixels) % step
            padded = np.concatenate([pixels, np.repeat(pixels[:1], short, axis=0)])
            return self._run(padded, name)[: len(pixels)]
        try:
            parts = [
                self._session.run([self._output], {self._input: pixels[start : start + step]})[0]
                for start in range(0, len(pixels), step)
            ]
            values: NDArray[np.floating] = np.concatenate(parts)
        except Exception as error:  # onnxruntime raises classes of its own, without a common one
            raise UserError(f"The network in {name!r} cannot be run: {one_line(error)}.") from error
        if values.ndim != 2 or len(values) != len(pixels):
            raise UserError(
                f"The network in {name!r} gives {values.shape} for {len(pixels)} tiles; due is one "
                "row a tile. Export it with its pooling."
            )
        return values


def _open(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UserError(
            f"Reading {path.name!r} needs onnxruntime: pip install 'napari-medssl[onnx]'."
        ) from None
    if path.stat().st_size > _MOST_BYTES:
        raise UserError(f"{path.name!r} is over 2 GB, the limit of ONNX files in one piece.")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it says is in the error too
    try:
        # From memory, so that a network cannot name other files to be read.
        return onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # as above
        raise UserError(
            f"{path.name!r} cannot be read as an ONNX network in one file: {one_line(error)}."
        ) from error


def _read_wants(path: Path) -> dict[str, Any]:
    """Return what the JSON file beside the network says, checked."""
    beside = path.with_suffix(".json")
    if not path.is_file():
        raise UserError(f"Encoder file {str(path)!r} does not exist.")
    if not beside.is_file():
        raise UserError(
            f"There is no {beside.name!r} beside {path.name!r}. Write it, for example {_EXAMPLE}."
        )
    try:
        wants = json.loads(beside.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{beside.name!r} is no JSON: {one_line(error)}.") from None
    if not isinstance(wants, dict):
        raise UserError(f"{beside.name!r} holds no JSON object. Write for example {_EXAMPLE}.")
    _check_wants(beside.name, wants)
    return wants


def _check_wants(name: str, wants: dict[str, Any]) -> None:
    pixels = wants.get("pixels")
    if type(pixels) is not int or not 8 <= pixels <= 4096:
        raise UserError(f"{name!r} says pixels {pixels!r}; due is a whole number from 8 to 4096.")
    for key in ("mean", "std"):
        values = wants.get(key)
        if not (isinstance(values, list) and len(values) == 3 and all(map(_is_number, values))):
            raise UserError(
                f"{name!r} says {key} {values!r}; due are three numbers, of RGB 0 to 1."
            )
    if min(wants["std"]) <= 0:
        raise UserError(f"{name!r} says std {wants['std']!r}; due are numbers above 0.")
    mpp = wants.get("mpp")
    if mpp is not None and not (_is_number(mpp) and mpp > 0):
        raise UserError(f"{name!r} says mpp {mpp!r}; due is a number of microns above 0.")
    if wants.get("stain", "") not in ("", "he"):
        raise UserError(f'{name!r} says stain {wants["stain"]!r}; due is "he" or nothing.')


def _listed(values: list[float]) -> str:
    """Return numbers as words that are the same for the same numbers: 1 and 1.0 are."""
    return " ".join(repr(float(value)) for value in values)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
