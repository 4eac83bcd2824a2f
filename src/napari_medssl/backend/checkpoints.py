"""Checkpoints: weights, optimizer, step, config and random states in one safetensors file.

No pickle anywhere: tensors are tensors, and everything else is JSON in the file's metadata. A
run that is resumed from a checkpoint goes on exactly as one that was never broken.
"""

from __future__ import annotations

import json
import platform
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medssl import __version__
from napari_medssl._errors import UserError
from napari_medssl.backend.models import read_metadata, read_weights
from napari_medssl.io.files import replace_whole

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_FORMAT = 1
_KEY = "checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read: states to give to `restore`, and what the run noted.

    `modules` and `optimizers` map the names given at saving to state dicts, `config` is the
    plain dict of the run's config, `notes` is the JSON value the run put there.
    """

    step: int
    config: dict[str, Any]
    modules: dict[str, dict[str, Tensor]]
    optimizers: dict[str, dict[str, Any]]
    notes: dict[str, Any]
    versions: dict[str, str]
    _random: dict[str, Any] = field(repr=False)
    _random_tensors: dict[str, Tensor] = field(repr=False)

    def restore(
        self,
        modules: Mapping[str, torch.nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer] | None = None,
        generators: Mapping[str, np.random.Generator | torch.Generator] | None = None,
    ) -> None:
        """Load the states into the run's own objects, and set torch's and Python's random states.

        Parameters
        ----------
        modules, optimizers, generators
            By the names used at saving. Optimizers are built on the modules' parameters first.

        Raises
        ------
        UserError
            If the checkpoint holds no state of that name, or one of another shape.
        """
        for name, module in modules.items():
            _load(module, self.modules.get(name), f"module {name!r}")
        for name, optimizer in (optimizers or {}).items():
            _load(optimizer, self.optimizers.get(name), f"optimizer {name!r}")
        self._restore_random(generators or {})

    def _restore_random(
        self, generators: Mapping[str, np.random.Generator | torch.Generator]
    ) -> None:
        import torch

        for name, generator in generators.items():
            tensor = self._random_tensors.get(f"generator/{name}")
            if isinstance(generator, torch.Generator) and tensor is not None:
                generator.set_state(tensor)
            elif isinstance(generator, np.random.Generator) and name in self._random["numpy"]:
                generator.bit_generator.state = _arrays_back(self._random["numpy"][name])
            else:
                raise UserError(f"The checkpoint holds no state of the generator {name!r}.")
        version, words, gauss = self._random["python"]
        random.setstate((version, tuple(words), gauss))
        torch.set_rng_state(self._random_tensors["cpu"])
        cuda = [key for key in self._random_tensors if key.startswith("cuda/")]
        if torch.cuda.is_available() and len(cuda) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([self._random_tensors[key] for key in sorted(cuda)])


def _load(target: Any, state: dict[str, Any] | None, what: str) -> None:
    if state is None:
        raise UserError(f"The checkpoint holds no state of the {what}.")
    try:
        target.load_state_dict(state)
    except (RuntimeError, ValueError, KeyError) as error:
        first = str(error).strip().splitlines()
        raise UserError(
            f"The checkpoint's {what} does not fit this run ({' '.join(first[:2])}). "
            "Resume with the config it was saved with, or start a new run."
        ) from None


def save_checkpoint(
    path: Path,
    modules: Mapping[str, torch.nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    *,
    step: int,
    config: Any,
    generators: Mapping[str, np.random.Generator | torch.Generator] | None = None,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write everything a run needs to go on, whole or not at all.

    Parameters
    ----------
    path
        File to write, ending in .safetensors; its folder is made.
    modules, optimizers
        Objects with `state_dict`, by name.
    step
        Steps done.
    config
        The run's config: a dataclass or a dict of JSON values.
    generators
        Random generators of the run by name. torch's and Python's global states, which layers
        such as dropout draw from, are always kept.
    notes
        JSON values of the run's own: best score so far, a scheduler's state dict.
    """
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            tensors[f"module/{name}/{key}"] = value
    plain_optimizers = {
        name: _split_tensors(optimizer.state_dict(), f"optimizer/{name}", tensors)
        for name, optimizer in optimizers.items()
    }
    about = {
        "format": _FORMAT,
        "step": step,
        "config": asdict(config) if is_dataclass(config) else dict(config),  # type: ignore[arg-type]
        "modules": sorted(modules),
        "optimizers": plain_optimizers,
        "random": _random_state(generators or {}, tensors),
        "notes": dict(notes or {}),
        "versions": _versions(),
    }
    # Clones: safetensors refuses tensors that share memory, as tied weights do.
    ready = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_whole(path) as temporary:
        save_file(ready, temporary, metadata={_KEY: json.dumps(about)})


def _versions() -> dict[str, str]:
    import torch

    return {
        "napari-medssl": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }


def _split_tensors(value: Any, where: str, tensors: dict[str, Tensor]) -> Any:
    """Return `value` as JSON, its tensors moved to `tensors` and its kinds kept.

    Dictionaries become pair lists, since an optimizer's keys are numbers, which JSON would turn
    into text; tuples are marked, since betas come as one.
    """
    import torch

    if isinstance(value, torch.Tensor):
        tensors[where] = value
        return {"tensor": where}
    if isinstance(value, dict):
        pairs = [
            [key, _split_tensors(item, f"{where}/{key}", tensors)] for key, item in value.items()
        ]
        return {"dict": pairs}
    if isinstance(value, (list, tuple)):
        items = [_split_tensors(item, f"{where}/{n}", tensors) for n, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    return value


def _join_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Undo `_split_tensors`."""
    if isinstance(value, list):
        return [_join_tensors(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "tensor":
        return tensors[inner]
    if kind == "tuple":
        return tuple(_join_tensors(item, tensors) for item in inner)
    return {key: _join_tensors(item, tensors) for key, item in inner}


def _random_state(
    generators: Mapping[str, np.random.Generator | torch.Generator], tensors: dict[str, Tensor]
) -> dict[str, Any]:
    """Return the random states that are JSON, and put those that are tensors into `tensors`."""
    import torch

    tensors["random/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        for index, state in enumerate(torch.cuda.get_rng_state_all()):
            tensors[f"random/cuda/{index:02d}"] = state
    numpy_states = {}
    for name, generator in generators.items():
        if isinstance(generator, torch.Generator):
            tensors[f"random/generator/{name}"] = generator.get_state()
        else:
            numpy_states[name] = _arrays_out(generator.bit_generator.state)
    return {"python": random.getstate(), "numpy": numpy_states}


def _arrays_out(state: Any) -> Any:
    """Return a bit generator's state as JSON (Mersenne twister and Philox hold arrays)."""
    if isinstance(state, Mapping):
        return {key: _arrays_out(value) for key, value in state.items()}
    if isinstance(state, np.ndarray):
        return {"array": state.tolist(), "dtype": str(state.dtype)}
    return state.item() if isinstance(state, np.generic) else state


def _arrays_back(state: Any) -> Any:
    if not isinstance(state, dict):
        return state
    if set(state) == {"array", "dtype"}:
        return np.array(state["array"], dtype=state["dtype"])
    return {key: _arrays_back(value) for key, value in state.items()}


def load_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint in a file.

    Raises
    ------
    UserError
        If the file is missing, damaged or no checkpoint of ours.
    """
    tensors, metadata = read_weights(path)
    try:
        about = json.loads(metadata[_KEY])
        if about["format"] != _FORMAT:
            raise UserError(
                f"Checkpoint {str(path)!r} has format {about['format']!r}, this version reads "
                f"{_FORMAT}: use the version of napari-medssl that wrote it."
            )
        return Checkpoint(
            step=int(about["step"]),
            config=dict(about["config"]),
            modules={name: _below(tensors, f"module/{name}/") for name in about["modules"]},
            optimizers={
                name: _join_tensors(state, tensors) for name, state in about["optimizers"].items()
            },
            notes=dict(about["notes"]),
            versions=dict(about["versions"]),
            _random=about["random"],
            _random_tensors=_below(tensors, "random/"),
        )
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(
            f"File {str(path)!r} is no checkpoint of a training run; weights for use are given "
            "with --model instead."
        ) from None


def read_step(path: Path) -> int:
    """Return how many steps a checkpoint has done, without torch; UserError if it is none."""
    try:
        return int(json.loads(read_metadata(path)[_KEY])["step"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"File {str(path)!r} is no checkpoint of a training run.") from error


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
