"""Score clusterings of folders whose pictures lie in a folder for each class.

The names of the classes are looked at after everything is clustered, and only to score.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend import clustering_scores as scores
from napari_medssl.backend.class_folders import classes_of
from napari_medssl.backend.cluster_folder import (
    VIEWS,
    ClusterConfig,
    EmbeddedPictures,
    embed_pictures,
)
from napari_medssl.backend.clustering import count_clusters, find_clusters
from napari_medssl.backend.clusters_report import (
    ClusterScores,
    ClusterSet,
    ClustersReport,
    PairScores,
)
from napari_medssl.backend.config import check, option, to_json
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.backend.supervised_baseline import supervised_accuracy
from napari_medssl.io.images import scan_images

AUTOENCODER = "autoencoder"
"""Name of the encoder that is trained on the folder: `medssl train autoencoder`."""

PIXELS, PIXELS_PCA, PCA_SUFFIX = "pixels", "pixels, PCA", ", PCA"
_SIDE, _COMPONENTS = 32, 32


@dataclass(frozen=True)
class EvaluateClustersConfig:
    """Score clusterings of pictures by classes that they have not seen."""

    data: tuple[Path, ...] = option(
        (), help="Folder with a folder of pictures for each class; may be given several times."
    )
    encoder: tuple[str, ...] = option(
        (VIEWS, AUTOENCODER, "imagenet", "untrained"),
        help="views, autoencoder (trained on the folder), or an encoder of `medssl embed`; may be "
        "given several times.",
    )
    autoencoder_steps: int = option(
        400, help="Steps of the autoencoder, at 32 px; five of eight are its warm-up.", min=2
    )
    supervised_steps: int = option(
        150, help="Steps of each of five supervised networks of that size; 0 for none.", min=0
    )
    seeds: int = option(3, help="Runs of k-means, whose scores are averaged.", min=1, max=100)
    pairs: bool = option(
        False,
        help="Also take each two classes as one, and look whether two clusters find them again.",
    )
    device: str = option("auto", help="Where networks run.", choices=("auto", "cpu", "cuda", "mps"))


def evaluate_clusters(
    config: EvaluateClustersConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> ClustersReport:
    """Return the scores of each encoder, and of pixels, on each folder.

    Raises
    ------
    UserError
        If a folder holds no two classes with pictures, or an encoder is unknown.
    Cancelled
        If it was asked to stop.
    """
    check(config)
    if not config.data:
        raise UserError("No --data came. Give a folder with a folder of pictures for each class.")
    sets, failures = [], []
    for number, folder in enumerate(config.data):
        one, bad = _score_folder(folder, config, number, on_progress, should_stop)
        sets.append(one)
        failures += bad
    settings = to_json(config)
    # Reports are published: names of files and folders, not where they lie.
    settings["data"] = [folder.name for folder in config.data]
    settings["encoder"] = [Path(encoder).name for encoder in config.encoder]
    return ClustersReport(settings, tuple(sets), tuple(failures))


def _score_folder(
    folder: Path,
    config: EvaluateClustersConfig,
    number: int,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> tuple[ClusterSet, list[tuple[str, str]]]:
    steps = len(config.encoder) + 3
    rows: list[ClusterScores] = []
    truth: NDArray[np.int64] = np.empty(0, np.int64)
    classes: list[str] = []
    names: tuple[str, ...] = ()
    failures: list[tuple[str, str]] = []
    pairs: tuple[PairScores, ...] = ()

    def tell(doing: str) -> None:
        if should_stop():
            raise Cancelled("Stopped; nothing is written.")
        total = steps * len(config.data)
        on_progress(Progress(number * steps + len(rows), total, f"{folder.name}: {doing}"))

    for encoder in config.encoder:
        tell(encoder)
        found, error = _embedded(folder, encoder, config, should_stop)
        if not rows:
            names, failures = found.names, list(found.failures)
            classes, truth = classes_of(folder, names)
        shown = found.embeddings
        if encoder not in (VIEWS, AUTOENCODER):
            shown = principal(found.embeddings)
        if config.pairs and not rows:
            pairs = score_pairs(found.embeddings, truth, classes, config.seeds)
        row = _scored(_method(encoder), shown, found.embeddings, truth, len(classes), config.seeds)
        rows.append(replace(row, error=error))
    tell("pixels")
    squares = _squares(folder, names)
    pixels = squares.reshape(len(squares), -1).astype(np.float32) / np.float32(255)
    for method, values in ((PIXELS, pixels), (PIXELS_PCA, principal(pixels))):
        row = _scored(method, values, values, truth, len(classes), config.seeds)
        rows.append(replace(row, error=0.0 if values is pixels else left_of(pixels)))
    tell("supervised")
    supervised = None
    if config.supervised_steps:
        supervised = supervised_accuracy(
            squares,
            truth,
            steps=config.supervised_steps,
            device=config.device,
            should_stop=should_stop,
        )
    majority = scores.majority_rate(truth)
    one = ClusterSet(
        folder.name, tuple(classes), len(names), majority, supervised, tuple(rows), pairs
    )
    return one, failures


def score_pairs(
    embeddings: NDArray[np.float32],
    truth: NDArray[np.int64],
    classes: Sequence[str],
    seeds: int,
) -> tuple[PairScores, ...]:
    """Return how well two clusters find each two classes that were taken as one.

    What is known stands in for what is not: whether clusters inside a class are sub-groups.

    Parameters
    ----------
    embeddings
        Unit length, shape (N, D).
    truth, classes
        Class of each row, from 0, shape (N,), and their names.
    seeds
        Runs of k-means, whose scores are averaged.
    """
    found = []
    for one, other in combinations(range(len(classes)), 2):
        rows = np.flatnonzero((truth == one) | (truth == other))
        own = (truth[rows] == other).astype(np.int64)
        labels = [find_clusters(embeddings[rows], 2, seed).labels for seed in range(seeds)]
        found.append(
            PairScores(
                (classes[one], classes[other]),
                len(rows),
                float(np.mean([scores.hungarian_accuracy(own, each) for each in labels])),
                float(np.mean([scores.mutual_information(own, each) for each in labels])),
                scores.majority_rate(own),
            )
        )
    return tuple(found)


def _embedded(
    folder: Path, encoder: str, config: EvaluateClustersConfig, should_stop: ShouldStop
) -> tuple[EmbeddedPictures, float | None]:
    """Return the embeddings of a folder, and the error of what is decoded from them."""
    if encoder != AUTOENCODER:
        how = ClusterConfig(encoder=encoder, device=config.device)
        return embed_pictures([folder], how, should_stop=should_stop), None
    from napari_medssl.backend.autoencoder_config import TrainAutoencoderConfig
    from napari_medssl.backend.train_autoencoder import train_autoencoder

    warmup = max(1, config.autoencoder_steps * 5 // 8)
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / f"{AUTOENCODER}.safetensors"
        training = TrainAutoencoderConfig(
            data=folder,
            out=out,
            size=str(_SIDE),
            warmup_steps=warmup,
            steps=config.autoencoder_steps - warmup,
            device=config.device,
        )
        card = train_autoencoder(training, should_stop=should_stop).card
        how = ClusterConfig(encoder=str(out), device=config.device)
        found = embed_pictures([folder], how, should_stop=should_stop)
    return found, float(card.metrics["reconstruction"])


def _method(encoder: str) -> str:
    if encoder == VIEWS:
        return "`medssl cluster`"
    # Of a file its name: reports are published.
    return encoder if encoder == AUTOENCODER else Path(encoder).name + PCA_SUFFIX


def _scored(
    method: str,
    clustered: NDArray[np.float32],
    embeddings: NDArray[np.float32],
    truth: NDArray[np.int64],
    classes: int,
    seeds: int,
) -> ClusterScores:
    def mean(of: Callable[[int], float]) -> float:
        return float(np.mean([of(seed) for seed in range(seeds)]))

    found = [find_clusters(clustered, classes, seed).labels for seed in range(seeds)]
    chosen = count_clusters(clustered).clusters
    return ClusterScores(
        method,
        mean(lambda seed: scores.hungarian_accuracy(truth, found[seed])),
        mean(lambda seed: scores.mutual_information(truth, found[seed])),
        mean(lambda seed: scores.adjusted_rand(truth, found[seed])),
        scores.silhouette(clustered, found[0]),
        chosen,
        mean(lambda seed: scores.purity(truth, find_clusters(clustered, chosen, seed).labels)),
        scores.neighbour_accuracy(embeddings, truth),
        scores.probe_accuracy(embeddings, truth),
    )


def _squares(folder: Path, names: Sequence[str]) -> NDArray[np.uint8]:
    """Return the pictures at 32 x 32, RGB, shape (N, 32, 32, 3)."""
    from napari_medssl.backend.tile_pictures import read_batches
    from napari_medssl.io.images import name_below

    wanted = set(names)
    listed = scan_images([folder], recursive=True).refs
    refs = [ref for ref in listed if name_below(ref, [folder]) in wanted]
    tiles = [tile for _, _, batch in read_batches(refs, _SIDE, 256, []) for tile in batch]
    return np.stack(tiles)


def left_of(values: NDArray[np.float32], count: int = _COMPONENTS) -> float:
    """Return the part of the variance of rows that their principal components leave."""
    sizes = np.linalg.svd(values - values.mean(axis=0), compute_uv=False).astype(np.float64) ** 2
    return float(sizes[count:].sum() / max(float(sizes.sum()), 1e-12))


def principal(values: NDArray[np.float32], count: int = _COMPONENTS) -> NDArray[np.float32]:
    """Return the principal components of rows, shape (N, count) or fewer, float32."""
    centred = values - values.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    return np.asarray((left * sizes)[:, :count], np.float32)
