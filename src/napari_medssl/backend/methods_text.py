"""A methods paragraph for a set of masks, and the config file that repeats the run."""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from napari_medssl import __version__
from napari_medssl._errors import UserError
from napari_medssl.backend.methods_record import (
    LIKELIEST,
    MaskRecord,
    MaskRun,
    card_of,
    runs_of,
    shown_model,
)
from napari_medssl.backend.models import ModelCard
from napari_medssl.io.files import write_whole

FORMAT = "napari-medssl methods"
VERSION = 1
_PACKAGES = {"torch": "PyTorch", "numpy": "NumPy", "scipy": "SciPy", "monai": "MONAI"}
# Counts of data that the recipes of cards hold, with words for one and for more.
_COUNTS = {
    "images": ("image", "images"),
    "labelled": ("labelled image", "labelled images"),
    "unlabelled": ("unlabelled image", "unlabelled images"),
    "shape_pictures": ("picture of shapes", "pictures of shapes"),
    "labelled_images": ("labelled image", "labelled images"),
    "unlabelled_images": ("unlabelled image", "unlabelled images"),
}
_OTHERS = ("unlabelled", "unlabelled_images")


@dataclass(frozen=True, slots=True)
class Methods:
    """The paragraph as Markdown, and what the config file holds."""

    text: str
    config: dict[str, Any]


def software_versions() -> dict[str, str]:
    """Return the versions of this program and of what it computes with."""
    found = {"napari-medssl": __version__, "Python": platform.python_version()}
    for package, name in _PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return found


def methods_of(
    records: Sequence[MaskRecord], *, lacking: int = 0, software: Mapping[str, str] | None = None
) -> Methods:
    """Return how masks were made and are measured.

    Parameters
    ----------
    records
        The images that have a mask.
    lacking
        How many images have none.
    software
        Versions by name; None for those of `software_versions`.

    Raises
    ------
    UserError
        If no image has a mask.
    """
    if not records:
        raise UserError("No image has a mask yet, so there is nothing to tell of.")
    versions = dict(software_versions() if software is None else software)
    runs = runs_of(records)
    cards = [card_of(run) for run in runs]
    commands = _commands(records, runs)
    others = ", ".join(f"{n} {v}" for n, v in versions.items() if n != "napari-medssl")
    words = [
        f"Images were segmented with napari-medssl {versions.get('napari-medssl', '')} ({others})."
    ]
    pairs = list(zip(runs, cards, strict=True))
    words += [_run_words(run, card, len(records)) for run, card in pairs]
    words.append(_hand_words(records, lacking))
    training = [_training_words(run, card) for run, card in pairs]
    parts = [" ".join(words), *dict.fromkeys(training), _measure_words(records)]
    parts += ["The same again:", "\n".join(f"    {command}" for command in commands)]
    text = "# Methods\n\n" + "\n\n".join(parts) + "\n"
    return Methods(text, _config(records, runs, cards, versions, commands))


def write_methods(out: Path, methods: Methods) -> Path:
    """Write the paragraph to `out` and the config beside it; return the place of the config.

    Raises
    ------
    UserError
        If one cannot be written.
    """
    place = config_place(out)
    write_whole(place, json.dumps(methods.config, indent=2, ensure_ascii=False) + "\n")
    write_whole(out, methods.text)
    return place


def config_place(out: Path) -> Path:
    """Return where the config of a paragraph at `out` is written."""
    return out.with_suffix(".json")


# -- words -------------------------------------------------------------------------------------


def _run_words(run: MaskRun, card: ModelCard | None, total: int) -> str:
    sum_words = f"SHA-256 of the weights {run.sha256}" if run.sha256 else "weights not recorded"
    by = "" if run.program in ("", __version__) else f", by version {run.program} of the program"
    if run.settings is None:
        settings = "with settings that were not recorded"
    elif LIKELIEST in (run.task, "" if card is None else card.task):  # it has no threshold
        settings = "which takes the likeliest class of each pixel"
    else:
        settings = "with " + ", ".join(f"{_spoken(k)} {v}" for k, v in run.settings.items())
    return (
        f"{len(run.images)} of {_counted(total, 'mask', 'masks')} "
        f"{_was(len(run.images))} made by the model "
        f"{_plain(run.model)} ({sum_words}{by}), {settings}."
    )


def _hand_words(records: Sequence[MaskRecord], lacking: int) -> str:
    edited = sum(r.is_edited and bool(r.model) for r in records)
    painted = sum(not r.model for r in records)
    words = [
        "No mask was corrected by hand."
        if not edited
        else f"{_counted(edited, 'mask', 'masks')} of these {_was(edited)} corrected by hand."
    ]
    if painted:
        words.append(
            f"{_counted(painted, 'mask', 'masks')} {_was(painted)} painted by hand without a model."
        )
    if lacking:
        words.append(f"{_counted(lacking, 'further image', 'further images')} had no mask.")
    return " ".join(words)


def _training_words(run: MaskRun, card: ModelCard | None) -> str:
    if card is None:
        return (
            f"The card of the model {_plain(run.model)} is not at hand: the model was moved, "
            "deleted or trained anew since, and its training cannot be told."
        )
    recipe = card.recipe
    facts = [f"by `{recipe.command}`" if recipe.command else "by a recipe that its card lacks"]
    facts += [f"in {recipe.steps} steps"] * (recipe.steps is not None)
    facts += [f"with seed {recipe.seed}"] * (recipe.seed is not None)
    facts += [f"on {_plain(recipe.hardware)}"] * bool(recipe.hardware)
    told: dict[str, object] = {**card.metrics, **recipe.config}
    unseen = _OTHERS if told.get("stages") == "supervised" else ()  # masks are all it learns from
    counts = [
        _counted(count, *words)
        for key, words in _COUNTS.items()
        if isinstance(count := told.get(key), int) and key not in unseen
    ]
    sources = dict.fromkeys(f"{_plain(one.name)} ({_plain(one.licence)})" for one in card.data)
    data = "; ".join(sources)
    words = (
        f"The model {_plain(card.name)} (version {card.version}: {card.task}, {card.architecture})"
    )
    words += f" was trained {' '.join(facts)}"
    words += f", from {_joined(counts)}" if counts else ""
    words += f". Its data: {data}" * bool(data)
    return f"{words}. All settings of its training are in the config file."


def _measure_words(records: Sequence[MaskRecord]) -> str:
    named = sorted({(n, name) for r in records for n, name in r.classes.items()})
    classes = ", ".join(f"{number} {_plain(name)}" for number, name in named)
    sizes = sorted({r.spacing_mm for r in records if r.spacing_mm is not None})
    unknown = sum(r.spacing_mm is None for r in records)
    words = [f"The classes are {classes}." if classes else "No class has a name."]
    if sizes:
        shown = " or ".join(f"{x:g} mm x {y:g} mm" for x, y in sizes)
        of = f" ({unknown} of the images: not known)" * bool(unknown)
        words.append(f"A pixel measures {shown}{of}.")
    else:
        words.append("The size of a pixel is not known, so areas are in pixels.")
    words.append(
        "The area of a class is the number of its pixels, times the area of a pixel where that is "
        "known. An object is a set of pixels of one class that touch at a side or a corner. "
        "Figures over the set are mean and standard deviation (of a sample) over all images that "
        "have a mask; an image without a pixel of a class counts as 0."
    )
    return " ".join(words)


# -- the same again ----------------------------------------------------------------------------


def _commands(records: Sequence[MaskRecord], runs: Sequence[MaskRun]) -> tuple[str, ...]:
    """Return the commands that make and measure the masks again, without what hands did."""
    found = []
    for number, run in enumerate(runs, start=1):
        words = ["medssl", "segment", "IMAGES", "--model", shown_model(run)]
        if run.task != LIKELIEST:
            for name, value in (run.settings or {}).items():
                words += _option(name, value)
        found.append(shlex.join([*words, "--out", "masks" if len(runs) == 1 else f"masks{number}"]))
    names = dict(pair for r in records for pair in r.classes.items())
    words = ["medssl", "masks", "measure", "masks", "--images", "IMAGES"]
    sizes = {r.spacing_mm for r in records}
    side = next(iter(sizes)) if len(sizes) == 1 else None
    if side is not None and side[0] == side[1]:
        words += ["--pixel-size", f"{side[0]:g}"]
    for number in range(1, max(names, default=0) + 1):
        words += ["--names", names.get(number, f"class {number}")]
    found.append(shlex.join([*words, "--out", "areas.csv", "--summary", "classes.csv"]))
    return tuple(found)


def _option(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [word for one in values for word in (f"--{flag}", str(one))]


def _config(
    records: Sequence[MaskRecord],
    runs: Sequence[MaskRun],
    cards: Sequence[ModelCard | None],
    software: Mapping[str, str],
    commands: Sequence[str],
) -> dict[str, Any]:
    models = {card.name: _without_folders(asdict(card)) for card in cards if card is not None}
    for run in runs:  # a card inside the weights cannot hold their sum
        if run.model in models and run.sha256:
            models[run.model]["sha256"] = run.sha256
    return {
        "format": FORMAT,
        "version": VERSION,
        "software": dict(software),
        "runs": [
            {
                "model": shown_model(run),
                "sha256": run.sha256,
                "program": run.program,
                "settings": None if run.settings is None else dict(run.settings),
                "images": list(run.images),
            }
            for run in runs
        ],
        "edited_by_hand": [r.image for r in records if r.is_edited and r.model],
        "painted_by_hand": [r.image for r in records if not r.model],
        "classes": {r.image: {str(n): name for n, name in r.classes.items()} for r in records},
        "pixel_mm": {r.image: r.spacing_mm and list(r.spacing_mm) for r in records},
        "measurement": {"object_neighbours": 8, "standard_deviation": "sample"},
        "commands": list(commands),
        "models": list(models.values()),
    }


def _without_folders(value: Any) -> Any:
    """Return a value of a card without the folders of the machine that trained it."""
    if isinstance(value, dict):
        return {key: _without_folders(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(one) for one in value]
    is_path = isinstance(value, str) and Path(value).is_absolute()
    return Path(value).name if is_path else value


def _counted(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _plain(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())
