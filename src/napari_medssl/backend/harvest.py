"""Harvest single images from compound figures, for self-supervised training.

Every panel is cropped, told photograph from plot, freed of a letter that stands apart, and kept
unless a panel like it is there already. One line per finished figure goes to a journal after its
crops are on the disk: whatever stops a run, the same command goes on with the next figure.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.config import option
from napari_medssl.backend.harvest_journal import HarvestJournal, Panel
from napari_medssl.backend.jobs import (
    Cancelled,
    OnProgress,
    Progress,
    ShouldStop,
    error_text,
    ignore,
    never,
)
from napari_medssl.backend.licences import read_licences
from napari_medssl.backend.splitters import Split, make_splitter
from napari_medssl.io.boxes import Box
from napari_medssl.io.files import replace_whole, write_whole
from napari_medssl.io.images import ImageListing, ImageRef, read_image, scan_images
from napari_medssl.methods.simcfs.duplicates import NEAR_BITS, PanelIndex, perceptual_hash
from napari_medssl.methods.simcfs.letters import trim_letter
from napari_medssl.methods.simcfs.panel_kind import panel_kind

MANIFEST = "manifest.csv"
JOURNAL = "journal.jsonl"
_COLUMNS = (
    "file", "kind", "figure", "page", "x0", "y0", "x1", "y1", "score", "licence", "width", "height",
)  # fmt: skip


@dataclass(frozen=True)
class HarvestConfig:
    """Crop the panels of figures into a folder of single images."""

    kind: Literal["photo", "plot", "all"] = option(
        "photo", help="Which panels to keep: photographs, plots and text, or all."
    )
    min_size: int = option(64, help="Shorter side of the smallest panel to keep.", unit="px", min=1)
    trim_letters: bool = option(True, help="Cut off panel letters that stand beside the picture.")
    near_bits: int = option(
        NEAR_BITS,
        help="Panels whose 256-bit hashes differ in no more bits are duplicates; -1 keeps all.",
        min=-1,
        max=256,
        advanced=True,
    )
    model: str = option("simcfs-figures", help="A registered model, a file, or 'gutters'.")
    score: float | None = option(None, help="Least score of a panel.", min=0, max=1)
    device: str = option(
        "auto", help="Where the network runs.", choices=("auto", "cpu", "cuda", "mps")
    )
    licences: Path | None = option(
        None, help="CSV or COCO file that names the licence of each figure (file_name, licence)."
    )


@dataclass(frozen=True)
class HarvestReport:
    """What a harvest holds now, over all runs into its folder."""

    kept: int
    by_kind: dict[str, int]
    duplicates: int
    too_small: int
    other_kind: int
    figures: int
    resumed: int
    failures: tuple[tuple[str, str], ...]


def harvest(
    inputs: Iterable[str | Path],
    out: Path,
    config: HarvestConfig | None = None,
    *,
    split: Split | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> HarvestReport:
    """Crop the panels of every figure in `inputs` into `out/photo` and `out/plot`.

    `out/manifest.csv` tells where each crop comes from. Figures that an earlier run into `out`
    finished are passed over; those that cannot be read are in `failures`, the rest goes on.
    `split` replaces the splitter that `config.model` names.

    Raises
    ------
    UserError
        If `out` holds a harvest made with other settings, nothing in `inputs` is a picture, or an
        input lies in `out`.
    Cancelled
        If `should_stop` said so, between two figures; manifest and journal are in order then.
    """
    config = config or HarvestConfig()
    licences = read_licences(config.licences) if config.licences else {}
    places = list(inputs)
    _refuse_own_crops(places, out)
    listing = _outside(out, scan_images(places, recursive=True))
    if not listing.refs and not listing.failures:
        raise UserError(f"No picture in {', '.join(repr(str(place)) for place in places)}.")
    if not listing.refs:
        return HarvestReport(0, {}, 0, 0, 0, 0, 0, listing.failures)
    _make_folder(out)
    with HarvestJournal(out / JOURNAL, _settings(config)) as journal:
        todo = [ref for ref in listing.refs if _key(ref) not in journal.finished]
        resumed = len(listing.refs) - len(todo)
        failures = list(listing.failures)
        if todo:
            on_progress(Progress(resumed, len(listing.refs), "loading the model"))
            run = _Run(out, config, licences, journal)
            split = split or make_splitter(config.model, config.device)
            try:
                failures += run.take_all(todo, split, resumed, on_progress, should_stop)
            finally:
                _write_manifest(out / MANIFEST, journal)
        else:
            _write_manifest(out / MANIFEST, journal)
        return _report(journal, resumed, failures)


class _Run:
    """The state of one run: the panels seen so far and where the next ones go."""

    def __init__(
        self, out: Path, config: HarvestConfig, licences: dict[str, str], journal: HarvestJournal
    ) -> None:
        self.out, self.config, self.licences, self.journal = out, config, licences, journal
        self.seen = PanelIndex(config.near_bits)
        for panel in journal.panels:
            self.seen.add(panel.code, (panel.x1 - panel.x0) / (panel.y1 - panel.y0), panel.file)

    def take_all(
        self,
        todo: list[ImageRef],
        split: Split,
        before: int,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> list[tuple[str, str]]:
        """Harvest every figure of `todo` and return those that cannot be read, with the reason."""
        failures = []
        total = before + len(todo)
        for done, ref in enumerate(todo, start=before):
            if should_stop():
                raise Cancelled(
                    f"Stopped after {done} of {total} figures; what they gave is written. "
                    "The same command goes on where it was."
                )
            on_progress(Progress(done, total, ref.name))
            try:
                image = read_image(ref)
            except (UserError, MemoryError) as error:
                failures.append((_name(ref), error_text(error)))
                continue
            self.take(ref, image, split(image, self.config.score))
        on_progress(Progress(total, total, "done"))
        return failures

    def take(self, ref: ImageRef, image: np.ndarray, boxes: list[Box]) -> None:
        """Write the panels of one figure, then its line in the journal."""
        counts: Counter[str] = Counter()
        panels = []
        for number, box in enumerate(boxes, start=1):
            found = self._crop(ref, image, box, number)
            if isinstance(found, str):
                counts[found] += 1
            else:
                panels.append(found)
        self.journal.add(_key(ref), panels, counts)

    def _crop(self, ref: ImageRef, image: np.ndarray, box: Box, number: int) -> Panel | str:
        """Write one panel and return it, or say why it was left out."""
        x0, y0 = max(0, round(box.x0)), max(0, round(box.y0))
        crop = image[y0 : round(box.y1), x0 : round(box.x1)]
        if crop.size and self.config.trim_letters:
            left, top, right, bottom = trim_letter(crop)
            crop, x0, y0 = crop[top:bottom, left:right], x0 + left, y0 + top
        if min(crop.shape[:2]) < self.config.min_size:
            return "too_small"
        kind = panel_kind(crop)
        if self.config.kind not in ("all", kind):
            return "other_kind"
        height, width = crop.shape[:2]
        code = perceptual_hash(crop)
        file = f"{kind}/{_stem(ref)}-{number:03d}.png"
        if self.seen.find(code, width / height) is not None:
            return "duplicates"
        self.seen.add(code, width / height, file)
        _write_png(self.out / file, crop)
        licence = self.licences.get(ref.path.name, "")
        place = (x0, y0, x0 + width, y0 + height)
        return Panel(file, kind, str(ref.path), ref.page, *place, box.score, licence, code)


def _refuse_own_crops(inputs: Iterable[str | Path], out: Path) -> None:
    home = out.resolve()
    for given in inputs:
        if ImageRef.parse(given).path.resolve().is_relative_to(home):
            raise UserError(
                f"The input {str(given)!r} lies in --out {str(out)!r}, whose crops would be "
                "harvested again. Choose another --out."
            )


def _outside(out: Path, listing: ImageListing) -> ImageListing:
    """Leave out what lies in `out`: crops of an earlier run, where `out` is below an input."""
    home = out.resolve()
    refs = tuple(ref for ref in listing.refs if not ref.path.resolve().is_relative_to(home))
    return ImageListing(refs, listing.failures)


def _settings(config: HarvestConfig) -> dict[str, object]:
    """Return the settings that the panels of one folder must share."""
    names = ("kind", "min_size", "trim_letters", "near_bits", "model", "score")
    return {name: getattr(config, name) for name in names}


def _make_folder(out: Path) -> None:
    try:
        for folder in (out, out / "photo", out / "plot"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"Cannot make folder {str(out)!r}: {error.strerror}. Choose another --out."
        ) from error


def _name(ref: ImageRef) -> str:
    return str(ref.path) if ref.page is None else f"{ref.path}#page={ref.page}"


def _key(ref: ImageRef) -> str:
    """Return what tells one figure from all others, however its path is written."""
    return _name(ImageRef(ref.path.resolve(), ref.page))


def _stem(ref: ImageRef) -> str:
    """Return a file name for the panels of a figure: readable, and unlike that of any other."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", ref.path.stem)[:60]
    digest = hashlib.sha256(_key(ref).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    page = "" if ref.page is None else f"-p{ref.page}"
    return f"{readable}-{digest}{page}"


def _write_png(path: Path, crop: np.ndarray) -> None:
    with replace_whole(path) as temporary:
        Image.fromarray(crop).save(temporary, "PNG")


def _write_manifest(path: Path, journal: HarvestJournal) -> None:
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for p in journal.panels:
        place = (p.x0, p.y0, p.x1, p.y1)
        origin = (p.file, p.kind, p.figure, "" if p.page is None else p.page)
        score = "" if p.score is None else f"{p.score:.4f}"
        rows.writerow((*origin, *place, score, p.licence, p.x1 - p.x0, p.y1 - p.y0))
    write_whole(path, text.getvalue().encode("utf-8", "surrogateescape"))


def _report(
    journal: HarvestJournal, resumed: int, failures: list[tuple[str, str]]
) -> HarvestReport:
    return HarvestReport(
        kept=len(journal.panels),
        by_kind=dict(Counter(panel.kind for panel in journal.panels)),
        duplicates=journal.counts["duplicates"],
        too_small=journal.counts["too_small"],
        other_kind=journal.counts["other_kind"],
        figures=len(journal.finished),
        resumed=resumed,
        failures=tuple(failures),
    )
