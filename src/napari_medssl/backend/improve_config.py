"""What "improve" is asked for: its settings, where the new model goes, whether a run can go on."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_medssl._errors import UserError
from napari_medssl.backend.config import option
from napari_medssl.backend.corrections import Corrections, read_corrections
from napari_medssl.backend.figure_steps import check_pool, training_sizes
from napari_medssl.backend.figures import ARCHITECTURE, DEFAULT_MODEL
from napari_medssl.backend.folders import user_models_folder
from napari_medssl.backend.models import list_models, load_card
from napari_medssl.backend.train_steps import check_device, check_model_place, load_to_resume
from napari_medssl.backend.tune_figures import TuneConfig

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ImproveConfig:
    """Fine-tune the panel detector on the figures whose boxes you have accepted."""

    project: Path = option(
        help="Project (.medssl), or a folder with images/ and COCO annotations.json."
    )
    model: str = option("", help="Model to start from; by default the one the project uses.")
    out: str = option(
        "", help="Name of the new model in your models folder, or a .safetensors file."
    )
    pool: Path | None = option(
        None, help="Folder of single images for simulated figures; by default made textures."
    )
    steps: int = option(100, help="Most optimizer steps.", min=1)
    learning_rate: float = option(0.0002, help="Peak learning rate of AdamW.", min=0)
    replay: float = option(
        0.5, help="Share of simulated figures in training, against forgetting.", min=0.5, max=0.95
    )
    checks: int = option(
        2,
        help="Trainings with figures held out, to compare before and after; 0 for none.",
        min=0,
        max=10,
    )
    device: str = option("auto", help="Where to train.", choices=("auto", "cpu", "cuda", "mps"))
    resume: bool = option(False, help="Go on where the same run was stopped.")
    batch: int = option(8, help="Figures in a step.", min=2, advanced=True)
    repeats: int = option(
        20,
        help="How often a corrected figure is seen at most; few figures take fewer steps.",
        min=1,
        advanced=True,
    )
    amp: bool = option(True, help="Mixed precision (bfloat16).", advanced=True)
    seed: int = option(1, help="Seed of the draw of figures.", min=0, advanced=True)
    replayed: int = option(96, help="Simulated figures made for replay.", min=1, advanced=True)
    checked: int = option(
        24, help="Simulated figures to compare before and after on.", min=1, advanced=True
    )
    smallest: int = option(320, help="Least side of a training figure.", unit="px", advanced=True)
    largest: int = option(480, help="Largest side of a training figure.", unit="px", advanced=True)
    dense_size: int = option(
        768,
        help="Side of a training figure of many small panels, as they are looked at; 0 for none.",
        unit="px",
        min=0,
        max=1536,
        advanced=True,
    )
    checkpoint_every: int = option(20, help="Steps between checkpoints.", min=1, advanced=True)

    def steps_for(self, figures: int) -> int:
        """Return the steps of a training on so many corrected figures."""
        return min(self.steps, math.ceil(self.repeats * figures / self.tuning().real))

    def tuning(self) -> TuneConfig:
        """Return what each training needs to know; UserError if the sizes hold none to use."""
        sizes = training_sizes(self.smallest, self.largest)
        return TuneConfig(
            steps=self.steps,
            batch=self.batch,
            learning_rate=self.learning_rate,
            replay=self.replay,
            sizes=sizes,
            seed=self.seed,
            amp=self.amp,
            dense_size=-(-self.dense_size // 32) * 32,
        )


def can_resume(config: ImproveConfig) -> bool:
    """Tell whether a stopped run of the same settings and figures can be gone on with."""
    try:
        given = read_corrections(config.project)
        start = start_of(config, given)
        place = model_place(config.out, load_card(start).name)
        load_to_resume(checkpoint_of(place), comparable(config, start, given))
    except UserError:
        return False
    return True


def model_place(out: str, start: str) -> Path:
    """Return where the new model goes.

    Parameters
    ----------
    out
        A name for the user's models folder, a .safetensors file, or "" for a free name.
    start
        Name of the model that it is made from.

    Raises
    ------
    UserError
        If the name is no name or a model has it already.
    """
    folder = user_models_folder()
    taken = {model.path.stem for model in list_models()}
    if not out:
        stem = re.sub(r"-improved(-\d+)?$", "", start) + "-improved"
        names = [stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))]
        return folder / f"{next(name for name in names if name not in taken)}.safetensors"
    is_file = out.endswith(".safetensors")
    if not is_file and _NAME.fullmatch(out) is None:
        raise UserError(
            f"{out!r} is neither a name of letters, digits, dots and dashes nor a file that ends "
            "in .safetensors."
        )
    path = Path(out).expanduser().absolute() if is_file else folder / f"{out}.safetensors"
    if path.exists() or (not is_file and out in taken):
        raise UserError(f"A model {out!r} exists already. Give another name with --out.")
    return path


def check_improvable(config: ImproveConfig) -> None:
    """Raise UserError now for what a run would refuse after its process has started."""
    given = read_corrections(config.project)
    card = load_card(start_of(config, given))
    if card.architecture != ARCHITECTURE:
        raise UserError(
            f"Model {start_of(config, given)!r} is a {card.architecture!r} for {card.task!r}, not "
            f"a panel detector ({ARCHITECTURE!r}). `medssl models` lists what there is."
        )
    place = model_place(config.out, card.name)
    config.tuning()
    if not given.figures:
        raise UserError(nothing_accepted(config.project, given.skipped))
    if config.pool is not None:
        check_pool(config.pool)
    check_device(config.device)
    check_model_place(place)
    if config.resume:
        settings = comparable(config, start_of(config, given), given)
        load_to_resume(checkpoint_of(place), settings)


def nothing_accepted(project: Path, skipped: Sequence[tuple[str, str]]) -> str:
    """Return what a person reads who has accepted no figure yet, or none that can be used."""
    reasons = "".join(f" {name}: {reason}." for name, reason in skipped[:3])
    return (
        f"{str(project)!r} has no accepted figure to learn from.{reasons} "
        "Check the boxes of some figures in the widget and accept them (Enter)."
    )


def start_of(config: ImproveConfig, given: Corrections) -> str:
    """Return the model to start from."""
    return config.model or given.model or DEFAULT_MODEL


def checkpoint_of(place: Path) -> Path:
    """Return where the checkpoint of an unfinished model lies."""
    return place.with_suffix(".checkpoint.safetensors")


def comparable(config: ImproveConfig, start: str, given: Corrections) -> dict[str, Any]:
    """Return what two runs must share for one to go on with the other's checkpoint."""
    values = asdict(config)
    for name in ("project", "out", "resume", "device", "checkpoint_every"):
        values.pop(name)
    plain = {name: v.name if isinstance(v, Path) else v for name, v in values.items()}
    return {**plain, "model": start, "figures": given.fingerprint()}
