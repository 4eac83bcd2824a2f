"""Does sampling help as augmentation? Classifiers with few labels, with and without samples.

The second hope of Ferrante et al., arXiv 2209.12005. On the pictures of a set that are not tested
on an autoencoder is trained without labels; a few of each class are then labelled, and more are
made of them: views, decoded samples of a Gaussian of each class, decoded places between two.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medssl.backend.augmentation_config import (
    BOTH,
    NONE,
    VIEWS,
    WAYS,
    EvaluateAugmentationConfig,
    check_augmentation,
)
from napari_medssl.backend.augmentation_pictures import labelled_of_each, make_pictures
from napari_medssl.backend.augmentation_report import (
    AugmentationReport,
    AugmentationRun,
    AugmentationSet,
)
from napari_medssl.backend.augmentation_run import (
    CLASSIFIERS,
    FINE_TUNING,
    PROBE,
    Lesson,
    Schedule,
    probed,
    trained,
)
from napari_medssl.backend.class_transfer_data import ClassSet, read_class_set
from napari_medssl.backend.class_transfer_run import scores_of
from napari_medssl.backend.config import to_json
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.sizing import to_channels
from napari_medssl.backend.transfer_run import Stopped
from napari_medssl.io.files import write_all_whole
from napari_medssl.io.png_files import png_bytes

if TYPE_CHECKING:
    from torch import Tensor

    from napari_medssl.backend.autoencoder import Autoencoder

_STOPPED = "Stopped; nothing is written."


def evaluate_augmentation(
    config: EvaluateAugmentationConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> AugmentationReport:
    """Return the scores of all classifiers on all sets.

    Raises
    ------
    UserError
        If a folder holds no two classes with pictures.
    Cancelled
        If it was asked to stop.
    """
    check_augmentation(config)
    sets: list[AugmentationSet] = []
    failures: list[tuple[str, str]] = []
    try:
        for number, folder in enumerate(config.data):
            known = read_class_set(
                folder,
                int(config.size),
                config.test_share,
                config.split_seed,
                should_stop=should_stop,
            )
            failures += known.failures
            world = _World(config, known, number, on_progress, should_stop)
            sets.append(world.compared())
    except (Stopped, Cancelled):
        raise Cancelled(_STOPPED) from None
    settings = to_json(config)
    # Reports are published: names of folders, not where they lie.
    settings["data"] = [folder.name for folder in config.data]
    return AugmentationReport(settings, tuple(sets), tuple(failures))


@dataclass(frozen=True)
class _World:
    """One set, compared by one autoencoder."""

    config: EvaluateAugmentationConfig
    known: ClassSet
    number: int
    on_progress: OnProgress
    should_stop: ShouldStop

    def compared(self) -> AugmentationSet:
        """Return the runs of the set."""
        known, count = self.known, len(self.known.classes)
        self._tell(0, "training the autoencoder")
        model, error = train_on(known, self.config, self.should_stop)
        runs = tuple(self._runs(model))
        return AugmentationSet(
            known.name,
            known.classes,
            tuple(np.bincount(known.labels[known.train], minlength=count).tolist()),
            tuple(np.bincount(known.labels[known.test], minlength=count).tolist()),
            error,
            model.clusters,
            runs,
        )

    @property
    def _lessons(self) -> int:
        return len(self.config.counts) * self.config.seeds * len(WAYS)

    def _tell(self, done: int, doing: str) -> None:
        total = (self._lessons + 1) * len(self.config.data)
        before = (self._lessons + 1) * self.number
        self.on_progress(Progress(before + done, total, f"{self.known.name}: {doing}"))

    def _runs(self, model: Autoencoder) -> Iterator[AugmentationRun]:
        done = 0
        for count in self.config.counts:
            for seed in range(1, self.config.seeds + 1):
                for way, lesson in _lessons(model, self.known, self.config, count, seed):
                    done += 1
                    self._tell(done, f"{count} of each class, {way}, seed {seed}")
                    for classifier in CLASSIFIERS:
                        told = self._told(model, lesson, classifier, seed)
                        (accuracy, balanced), _ = scores_of(self.known, told)
                        yield AugmentationRun(classifier, way, count, seed, accuracy, balanced)

    def _told(
        self, model: Autoencoder, lesson: Lesson, classifier: str, seed: int
    ) -> NDArray[np.int64]:
        config = self.config
        if self.should_stop():
            raise Stopped
        if classifier == PROBE:
            return probed(model, lesson, config.samples, seed)
        return trained(
            model,
            lesson,
            Schedule(config.steps, config.batch, config.learning_rate),
            seed,
            from_weights=classifier == FINE_TUNING,
            classes=len(self.known.classes),
            should_stop=self.should_stop,
        )


def train_on(
    known: ClassSet, config: EvaluateAugmentationConfig, should_stop: ShouldStop
) -> tuple[Autoencoder, float]:
    """Return an autoencoder of the pictures that are not tested on, and its error; no labels."""
    from napari_medssl.backend.autoencoder import load_autoencoder
    from napari_medssl.backend.autoencoder_config import TrainAutoencoderConfig
    from napari_medssl.backend.train_autoencoder import train_autoencoder

    warmup = max(1, config.autoencoder_steps * 5 // 8)
    with tempfile.TemporaryDirectory() as place:
        folder, out = Path(place) / "pictures", Path(place) / "autoencoder.safetensors"
        folder.mkdir()
        write_all_whole(
            {folder / f"{row:06}.png": png_bytes(known.pixels[row]) for row in known.train}
        )
        training = TrainAutoencoderConfig(
            data=folder,
            out=out,
            size=config.size,
            warmup_steps=warmup,
            steps=config.autoencoder_steps - warmup,
            device=config.device,
        )
        card = train_autoencoder(training, should_stop=should_stop).card
        model = load_autoencoder(out, config.device)
    return model, float(card.metrics["reconstruction"])


def _lessons(
    model: Autoencoder,
    known: ClassSet,
    config: EvaluateAugmentationConfig,
    count: int,
    seed: int,
) -> Iterator[tuple[str, Lesson]]:
    """Give each way to augment, with what is learned from: the same labelled pictures."""
    import torch

    rows = known.train[labelled_of_each(known.labels[known.train], count, seed)]
    images, labels = _planes(model, known, rows), torch.from_numpy(known.labels[rows])
    embeddings = model.embed(images.permute(0, 2, 3, 1).numpy())
    unlabelled, test = (_planes(model, known, part) for part in (known.train, known.test))
    for way in WAYS:
        made = images[:0], labels[:0]
        if way not in (NONE, VIEWS):
            made = make_pictures(model, embeddings, labels, way, config.samples, seed)
        yield way, Lesson(images, labels, *made, way in (VIEWS, BOTH), unlabelled, test)


def _planes(model: Autoencoder, known: ClassSet, rows: NDArray[np.int64]) -> Tensor:
    """Return pictures in the model's channels, uint8, shape (N, C, S, S)."""
    import torch

    channels = model.network.config.channels
    squares = np.stack([to_channels(picture, channels) for picture in known.pixels[rows]])
    return torch.from_numpy(np.ascontiguousarray(squares.transpose(0, 3, 1, 2)))
