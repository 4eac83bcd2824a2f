"""The models that are shipped or a user has trained: weights in safetensors, a JSON card each.

A model is `NAME.safetensors` with `NAME.json` beside it, in `resources/models/` (shipped) or in
the user's models folder. The card is also written into the weights file, so that a file sent
alone can still be read. Pickled weights (.pt, .pth) are never opened: they can run code.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medssl._errors import UserError
from napari_medssl._resources import resources_folder
from napari_medssl.backend.folders import user_models_folder
from napari_medssl.backend.model_cache import ModelCache
from napari_medssl.backend.model_cards import (
    DataSource,
    ModelCard,
    Recipe,
    card_from_json,
    card_to_json,
)
from napari_medssl.io.files import replace_whole, write_whole

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "DataSource",
    "ModelCache",
    "ModelCard",
    "Recipe",
    "RegisteredModel",
    "file_sha256",
    "find_weights",
    "list_models",
    "load_card",
    "read_metadata",
    "read_weights",
    "write_model",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PICKLED = {".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".joblib", ".npy", ".npz"}
_CARD_KEY = "card"


@dataclass(frozen=True)
class RegisteredModel:
    """A model found by `list_models`: its card, its weights file, and whether we ship it."""

    card: ModelCard
    path: Path
    is_shipped: bool


def _model_folders() -> tuple[Path, ...]:
    """Return the folders in which names are looked for: shipped models win."""
    try:
        return (resources_folder() / "models", user_models_folder())
    except FileNotFoundError:
        return (user_models_folder(),)


def list_models() -> tuple[RegisteredModel, ...]:
    """Return the registered models, shipped ones first, each name once.

    Raises
    ------
    UserError
        If a card cannot be read.
    """
    found: dict[str, RegisteredModel] = {}
    for place, folder in enumerate(_model_folders()):
        for path in sorted(folder.glob("*.safetensors")):
            if path.stem in found or not path.with_suffix(".json").is_file():
                continue
            is_shipped = place == 0 and folder != user_models_folder()
            found[path.stem] = RegisteredModel(_read_card_file(path), path, is_shipped)
    return tuple(found.values())


def _read_card_file(weights: Path) -> ModelCard:
    card_file = weights.with_suffix(".json")
    try:
        text = card_file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Model card {str(card_file)!r} cannot be read: {error}.") from None
    return card_from_json(text, repr(str(card_file)))


def _is_file_name(name_or_file: str | Path) -> bool:
    """Return whether a person means a file: a path, or a name that ends like a weights file."""
    if isinstance(name_or_file, Path):
        return True
    path = Path(name_or_file)
    endings = _PICKLED | {".safetensors"}
    return _NAME.fullmatch(name_or_file) is None or path.suffix.lower() in endings


def _registered_path(name: str) -> Path:
    """Return the weights file of a registered name."""
    for folder in _model_folders():
        path = folder / f"{name}.safetensors"
        if path.is_file():
            return path
    known = sorted(model.card.name for model in list_models())
    raise UserError(
        f"No model is named {name!r}. Registered: {', '.join(known) or 'none'}. "
        "Give one of these or the path of a .safetensors file."
    )


def _check_is_safetensors(path: Path) -> None:
    """Refuse what is missing, and pickled weights by name and by content."""
    if not path.is_file():
        raise UserError(f"Model file {str(path)!r} does not exist.")
    with path.open("rb") as file:
        start = file.read(8)
    pickled = start[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
    if path.suffix.lower() in _PICKLED or pickled:
        raise UserError(
            f"Model file {str(path)!r} is not safetensors. Pickled weights (.pt, .pth) can run "
            "code when they are opened, so they are never read: save the state dict with "
            "safetensors.torch.save_file and give that file."
        )
    if len(start) < 8:
        raise UserError(f"Model file {str(path)!r} is empty or cut short; copy it again.")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_weights(name_or_file: str | Path) -> Path:
    """Return the weights file of a registered name, or the given file, after checking it.

    Parameters
    ----------
    name_or_file
        A name that `list_models` knows, or the path of a .safetensors file.

    Raises
    ------
    UserError
        If there is no such model, it is not safetensors, or its SHA-256 is not its card's.
    """
    is_file = _is_file_name(name_or_file)
    path = Path(name_or_file).expanduser() if is_file else _registered_path(str(name_or_file))
    _check_is_safetensors(path)
    if not path.with_suffix(".json").is_file():
        return path
    due = _read_card_file(path).sha256
    came = file_sha256(path)
    if due != came:
        raise UserError(
            f"Model file {str(path)!r} is not the one its card describes: SHA-256 is {came}, "
            f"the card says {due or 'nothing'}. Copy or install the model again."
        )
    return path


def load_card(name_or_file: str | Path) -> ModelCard:
    """Return the card of a registered name or of a weights file.

    The card lies beside the weights; where it does not, the copy inside the weights is read.

    Raises
    ------
    UserError
        If there is no such model, or it has no card.
    """
    is_file = _is_file_name(name_or_file)
    path = Path(name_or_file).expanduser() if is_file else _registered_path(str(name_or_file))
    _check_is_safetensors(path)
    if path.with_suffix(".json").is_file():
        return _read_card_file(path)
    text = read_metadata(path).get(_CARD_KEY)
    if text is None:
        raise UserError(
            f"Model file {str(path)!r} has no card: neither {path.stem}.json beside it nor one "
            "inside. Only models trained by medssl can be used."
        )
    return card_from_json(text, f"in {str(path)!r}")


def read_metadata(path: Path) -> dict[str, str]:
    """Return the texts in the header of a safetensors file; UserError if it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"Model file {str(path)!r} cannot be read as safetensors: {error}.")


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file (on the CPU) and its metadata.

    Raises
    ------
    UserError
        If the file is missing, pickled or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _check_is_safetensors(path)
    try:
        return load_file(path), read_metadata(path)
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from None


def write_model(path: Path, state: Mapping[str, Tensor], card: ModelCard) -> ModelCard:
    """Write weights and card; return the card with its SHA-256.

    Both are made beside their place first and then moved in, weights before card. A crash
    between the two moves leaves a pair whose sums differ, which `find_weights` refuses.

    Parameters
    ----------
    path
        Weights file, ending in .safetensors; the card lies beside it, ending in .json.
    state
        Tensors by name, such as `module.state_dict()`, on any device.
    card
        What is known of the model.
    """
    from safetensors.torch import save_file

    if path.suffix != ".safetensors":
        raise UserError(f"Model file {str(path)!r} must end in .safetensors.")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Clones: tensors that share memory, as tied weights do, are refused by safetensors.
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    inner = card_to_json(replace(card, sha256=""))
    with replace_whole(path) as temporary:
        save_file(tensors, temporary, metadata={_CARD_KEY: inner})
        finished = replace(card, sha256=file_sha256(Path(temporary)))
    write_whole(path.with_suffix(".json"), card_to_json(finished))
    return finished
