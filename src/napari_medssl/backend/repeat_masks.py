"""Segment images again as the config file of a methods paragraph says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.backend.config import from_json
from napari_medssl.backend.jobs import OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.methods_record import weights_sha256
from napari_medssl.backend.methods_text import FORMAT, VERSION
from napari_medssl.backend.segment_files import SegmentReport, places_of, segment_files
from napari_medssl.backend.segmenters import SegmentConfig
from napari_medssl.io.image_names import full_name
from napari_medssl.io.images import ImageRef


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """Pictures to segment with one config."""

    config: SegmentConfig
    refs: tuple[ImageRef, ...]


@dataclass(frozen=True, slots=True)
class RepeatPlan:
    """What a config file asks for.

    Attributes
    ----------
    runs
        What is to be segmented.
    missing
        Names of pictures that are not there.
    by_hand
        How many masks a person had corrected or painted: what is written lacks that.
    """

    runs: tuple[PlannedRun, ...]
    missing: tuple[str, ...]
    by_hand: int


def read_plan(
    path: Path, refs: Sequence[ImageRef], *, model: str = "", device: str = "auto"
) -> RepeatPlan:
    """Return what is to be done to repeat a run.

    Parameters
    ----------
    path
        The config file that `methods_text.write_methods` wrote.
    refs
        The pictures, told by the ends of their paths.
    model
        Where the model is, if it is no registered one.
    device
        Where to run.

    Raises
    ------
    UserError
        If the file is something else, or a model is not the one of then.
    """
    values = _read(path)
    places = {ref: f"/{full_name(ref)}" for ref in refs}
    runs, missing = [], []
    for run in values["runs"]:
        if run["settings"] is None:
            raise UserError(
                f"{str(path)!r} does not know how the model {run['model']!r} was read: the masks "
                "were made before that was kept. Use medssl segment."
            )
        chosen = model or str(run["model"])
        _check_weights(chosen, str(run["sha256"]), path)
        config = from_json(SegmentConfig, {**run["settings"], "model": chosen, "device": device})
        found = []
        for name in map(str, run["images"]):
            ref = next((r for r, place in places.items() if place.endswith(f"/{name}")), None)
            missing += [name] * (ref is None)
            found += [ref] * (ref is not None)
        runs.append(PlannedRun(config, tuple(ref for ref in found if ref is not None)))
    by_hand = len(values["edited_by_hand"]) + len(values["painted_by_hand"])
    return RepeatPlan(tuple(runs), tuple(missing), by_hand)


def repeat_masks(
    plan: RepeatPlan,
    out: Path,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> tuple[SegmentReport, ...]:
    """Segment what a plan asks for, STEM.png each as `segment_files` does; a report for each run.

    Raises
    ------
    UserError
        If a model or the folder cannot be used, or two pictures would share a file.
    """
    total = sum(len(run.refs) for run in plan.runs)
    places_of([ref for run in plan.runs for ref in run.refs], out)
    reports: list[SegmentReport] = []
    before = 0
    for run in plan.runs:
        told = partial(_tell, on_progress, before, len(run.refs), total)
        reports.append(
            segment_files(run.refs, out, run.config, on_progress=told, should_stop=should_stop)
        )
        before += len(run.refs)
    return tuple(reports)


def _tell(on_progress: OnProgress, before: int, count: int, total: int, progress: Progress) -> None:
    """Tell how far a run of `count` pictures is, whatever its own progress counts."""
    part = progress.done / progress.total if progress.total else 0.0
    on_progress(replace(progress, done=before + int(count * part), total=total))


def _check_weights(model: str, due: str, path: Path) -> None:
    came = weights_sha256(model)
    if due and came != due:
        raise UserError(
            f"Model {model!r} has the SHA-256 {came}; due is {due}, that of {path.name!r}. Give "
            "the model of then with --model FILE."
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
        if not isinstance(values, dict) or values["format"] != FORMAT:
            raise ValueError("another format")
        if int(values["version"]) > VERSION:
            raise UserError(
                f"{str(path)!r} has version {values['version']}, this program reads up to "
                f"{VERSION}. Update napari-medssl."
            )
        for run in values["runs"]:
            if not {"model", "sha256", "settings", "images"} <= set(run):
                raise ValueError("a run that lacks its model, settings or images")
        if not all(isinstance(values[k], list) for k in ("edited_by_hand", "painted_by_hand")):
            raise ValueError("no lists of what hands did")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"Cannot read {str(path)!r} as the config file of a methods paragraph ({error}). It is "
            "the .json that the button Methods writes."
        ) from None
    return values
