"""The files of a project folder: read them, take in the journal, keep copies of damaged ones."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.state.boxes import BoxStore
from napari_medssl.state.figure import Figure, FigureInfo
from napari_medssl.state.history import Edit, box_from_row
from napari_medssl.state.journal import Record, read_journal
from napari_medssl.state.queue import ReviewState

FORMAT = "napari-medssl project"
VERSION = 1
BAD_FILE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading a damaged JSON file raises."""

_log = logging.getLogger(__name__)


class ProjectDamagedError(UserError):
    """Files of a project or of a regions folder cannot be read; copies are in its `damaged`."""


@dataclass(slots=True)
class Loaded:
    """What a project folder holds: the figures by key, in the order in which they were added.

    `removed` are keys whose files still have to be put away, `damaged` files not understood,
    `models` the models that the project has used, the present one last.
    """

    figures: dict[str, Figure] = field(default_factory=dict)
    sequence: int = 0
    next_key: int = 1
    removed: set[str] = field(default_factory=set)
    damaged: list[Path] = field(default_factory=list)
    models: tuple[str, ...] = ()


def figure_path(folder: Path, key: str) -> Path:
    """Return where the file of a figure is."""
    return folder / "figures" / f"{key}.json"


def encode_header(
    sequence: int, next_key: int, keys: Iterable[str], models: Iterable[str] = ()
) -> bytes:
    """Return the content of `project.json`."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "sequence": sequence,
        "next_key": next_key,
        "figures": list(keys),
        "models": list(models),
    }
    return json.dumps(content, indent=1).encode()


def load_project(folder: Path) -> Loaded:
    """Read the files of a project, then what the journal adds to them.

    Raises
    ------
    UserError
        If a newer version wrote the project.
    """
    loaded = Loaded()
    keys = _load_header(folder, loaded)
    folded = loaded.sequence
    for key in keys:
        _load_figure(folder, key, loaded)
    journal = folder / "journal.jsonl"
    replay = read_journal(journal)
    if replay.damaged:
        loaded.damaged.append(journal)
    for record in replay.records:
        try:
            _apply(folder, record, loaded, folded)
        except BAD_FILE:
            _log.warning("journal record not understood: %r", record, exc_info=True)
            loaded.damaged.append(journal)
    return loaded


def _load_header(folder: Path, loaded: Loaded) -> list[str]:
    path = folder / "project.json"
    try:
        header = json.loads(path.read_bytes())
        version = int(header["version"])
        if header["format"] != FORMAT:
            raise ValueError(f"format is {header['format']!r}")
        keys = [str(key) for key in header["figures"]]
        loaded.sequence, loaded.next_key = int(header["sequence"]), int(header["next_key"])
        loaded.models = tuple(str(name) for name in header.get("models", ()))
    except (OSError, *BAD_FILE):
        loaded.damaged.append(path)
        return sorted(file.stem for file in (folder / "figures").glob("*.json"))
    if version > VERSION:
        raise UserError(
            f"The project {str(folder)!r} has version {version}, this program reads up to "
            f"{VERSION}. Update napari-medssl."
        )
    return keys


def _load_figure(folder: Path, key: str, loaded: Loaded) -> None:
    path = figure_path(folder, key)
    try:
        figure = Figure.decode(path.read_bytes())
    except (OSError, *BAD_FILE):
        loaded.damaged.append(path)
        return
    _include(key, figure, loaded)


def _include(key: str, figure: Figure, loaded: Loaded) -> None:
    loaded.figures[key] = figure
    loaded.sequence = max(loaded.sequence, figure.sequence)
    loaded.next_key = max(loaded.next_key, int(key) + 1)


def _apply(folder: Path, record: Record, loaded: Loaded, folded: int) -> None:
    """Take in one record unless the files have it already."""
    sequence, key, op = int(record["seq"]), str(record["key"]), record["op"]
    loaded.sequence = max(loaded.sequence, sequence)
    if op == "image":
        _apply_image(folder, record, loaded, folded)
        return
    if op == "models":
        if sequence > folded:
            loaded.models = tuple(str(name) for name in record["models"])
        return
    figure = loaded.figures.get(key)
    if figure is None or sequence <= figure.sequence:
        return
    if op == "remove":
        del loaded.figures[key]
        loaded.removed.add(key)
        return
    steps: dict[str, Callable[[Figure, Record], None]] = {
        "size": _apply_size,
        "edit": _apply_edit,
        "state": _apply_state,
    }
    steps[op](figure, record)
    figure.sequence, figure.is_dirty = sequence, True


def _apply_image(folder: Path, record: Record, loaded: Loaded, folded: int) -> None:
    """Add a figure; its file may be there if saving was cut short before the header."""
    key = str(record["key"])
    if key in loaded.figures or int(record["seq"]) <= folded:
        return
    if figure_path(folder, key).is_file():
        _load_figure(folder, key, loaded)
    else:
        info = FigureInfo.from_json(record["info"])
        _include(key, Figure(info, sequence=int(record["seq"]), is_dirty=True), loaded)


def _apply_size(figure: Figure, record: Record) -> None:
    width, height = int(record["width"]), int(record["height"])
    figure.info = replace(figure.info, width=width, height=height)
    figure.store = BoxStore(width, height)


def _apply_edit(figure: Figure, record: Record) -> None:
    if figure.store is None:
        raise ValueError(f"edit of {figure.info.name!r} before its size is known")
    figure.store.replay(str(record["kind"]), Edit.from_json(record["edit"], box_from_row))


def _apply_state(figure: Figure, record: Record) -> None:
    figure.state = ReviewState(record["state"])


def put_away(path: Path, folder: Path) -> Path | None:
    """Move a file into a folder under a name not in use; None if there is no such file."""
    if not path.exists():
        return None
    target = _free_name(folder, path)
    path.replace(target)
    return target


def _free_name(folder: Path, path: Path) -> Path:
    folder.mkdir(exist_ok=True)
    stem = f"{path.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    target = folder / f"{stem}{path.suffix}"
    number = 1
    while target.exists():
        number += 1
        target = folder / f"{stem}-{number}{path.suffix}"
    return target


def report_damage(folder: Path, files: Iterable[Path], repair: bool, noun: str = "project") -> None:
    """Keep copies of damaged files; go on if `repair`, else raise. `noun` says what they are of.

    Raises
    ------
    ProjectDamagedError
        Unless `repair`.
    """
    damaged = sorted(set(files))
    copies = {*damaged, folder / "journal.jsonl"} if repair else set(damaged)
    for path in sorted(copies):
        if path.is_file():
            shutil.copy2(path, _free_name(folder / "damaged", path))
    if repair:
        return
    names = ", ".join(path.relative_to(folder).as_posix() for path in damaged)
    raise ProjectDamagedError(
        f"The {noun} {str(folder)!r} is damaged: cannot read {names}. Copies are in its folder "
        "'damaged'. Put back a backup, or open it with repair to go on with the rest."
    )
