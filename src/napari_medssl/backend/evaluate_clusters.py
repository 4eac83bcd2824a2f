"""Score clusterings of folders whose pictures lie in a folder for each class.

The names of the classes are looked at after everything is clustered, and only to score.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medssl._errors import UserError
from napari_medssl.backend import clustering_scores as scores
from napari_medssl.backend.cluster_folder import VIEWS, ClusterConfig, embed_pictures
from napari_medssl.backend.clustering import count_clusters, find_clusters
from napari_medssl.backend.config import check, option, to_json
from napari_medssl.backend.jobs import Cancelled, OnProgress, Progress, ShouldStop, ignore, never
from napari_medssl.io.images import scan_images

PIXELS, PIXELS_PCA, PCA_SUFFIX = "pixels", "pixels, PCA", ", PCA"
_SIDE, _COMPONENTS = 32, 32


@dataclass(frozen=True)
class EvaluateClustersConfig:
    """Score clusterings of pictures by classes that they have not seen."""

    data: tuple[Path, ...] = option(
        (), help="Folder with a folder of pictures for each class; may be given several times."
    )
    encoder: tuple[str, ...] = option(
        (VIEWS, "imagenet", "untrained"),
        help="views, or an encoder of `medssl embed`; may be given several times.",
    )
    seeds: int = option(3, help="Runs of k-means, whose scores are averaged.", min=1, max=100)
    device: str = option("auto", help="Where networks run.", choices=("auto", "cpu", "cuda", "mps"))


@dataclass(frozen=True, slots=True)
class ClusterScores:
    """Scores of one row of the table.

    Attributes
    ----------
    method
        What made the embeddings.
    accuracy, mutual_information, adjusted_rand, silhouette
        With as many clusters as classes: of the best one-to-one map, and of raw numbers.
    chosen, purity
        Number of clusters by the elbow, and the purity with that many.
    neighbours, probe
        Accuracy of the five nearest neighbours and of logistic regression, which see labels.
    """

    method: str
    accuracy: float
    mutual_information: float
    adjusted_rand: float
    silhouette: float | None
    chosen: int
    purity: float
    neighbours: float
    probe: float


@dataclass(frozen=True, slots=True)
class ClusterSet:
    """The rows of one folder; `majority` is the part of the commonest class."""

    name: str
    classes: tuple[str, ...]
    images: int
    majority: float
    rows: tuple[ClusterScores, ...]


@dataclass(frozen=True, slots=True)
class ClustersReport:
    """All folders, and the settings."""

    settings: dict[str, object]
    sets: tuple[ClusterSet, ...]
    failures: tuple[tuple[str, str], ...]

    def to_json(self) -> str:
        """Return all of it."""
        return json.dumps(asdict(self), indent=2)

    def means(self) -> tuple[tuple[str, float, float], ...]:
        """Return (method, mean accuracy, mean mutual information) over the folders."""
        found = []
        for place, row in enumerate(self.sets[0].rows):
            of_sets = [each.rows[place] for each in self.sets]
            found.append(
                (
                    row.method,
                    float(np.mean([r.accuracy for r in of_sets])),
                    float(np.mean([r.mutual_information for r in of_sets])),
                )
            )
        return tuple(found)


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
    steps = len(config.encoder) + 2
    rows: list[ClusterScores] = []
    truth: NDArray[np.int64] = np.empty(0, np.int64)
    classes: list[str] = []
    names: tuple[str, ...] = ()
    failures: list[tuple[str, str]] = []

    def tell(doing: str) -> None:
        if should_stop():
            raise Cancelled("Stopped; nothing is written.")
        total = steps * len(config.data)
        on_progress(Progress(number * steps + len(rows), total, f"{folder.name}: {doing}"))

    for encoder in config.encoder:
        tell(encoder)
        how = ClusterConfig(encoder=encoder, device=config.device)
        found = embed_pictures([folder], how, should_stop=should_stop)
        if not rows:
            names, failures = found.names, list(found.failures)
            classes, truth = _truth(folder, names)
        shown = found.embeddings
        if encoder != VIEWS:
            shown = principal(found.embeddings)
        # Of a file its name: reports are published.
        method = "`medssl cluster`" if encoder == VIEWS else Path(encoder).name + PCA_SUFFIX
        rows.append(_scored(method, shown, found.embeddings, truth, len(classes), config.seeds))
    tell("pixels")
    pixels = _pixels(folder, names)
    for method, values in ((PIXELS, pixels), (PIXELS_PCA, principal(pixels))):
        rows.append(_scored(method, values, values, truth, len(classes), config.seeds))
    one = ClusterSet(
        folder.name, tuple(classes), len(names), scores.majority_rate(truth), tuple(rows)
    )
    return one, failures


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


def _truth(folder: Path, names: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the classes, which are the folders that pictures lie in, and that of each picture."""
    parts = [name.split("/", 1) for name in names]
    beside = [part[0] for part in parts if len(part) == 1]
    if beside:
        raise UserError(
            f"{beside[0]!r} lies in {str(folder)!r} itself, and so has no class. Put each picture "
            "into a folder that is named after its class."
        )
    classes, truth = np.unique([part[0] for part in parts], return_inverse=True)
    if len(classes) < 2:
        raise UserError(
            f"{str(folder)!r} holds pictures of {len(classes)} class; at least 2 are due, a folder "
            "each."
        )
    return [str(name) for name in classes], truth.astype(np.int64)


def _pixels(folder: Path, names: Sequence[str]) -> NDArray[np.float32]:
    """Return the pixels of the pictures at 32 x 32, 0 to 1, shape (N, 3072)."""
    from napari_medssl.backend.tile_pictures import read_batches
    from napari_medssl.io.images import name_below

    wanted = set(names)
    listed = scan_images([folder], recursive=True).refs
    refs = [ref for ref in listed if name_below(ref, [folder]) in wanted]
    tiles = [tile for _, _, batch in read_batches(refs, _SIDE, 256, []) for tile in batch]
    return np.stack(tiles).reshape(len(tiles), -1).astype(np.float32) / np.float32(255)


def principal(values: NDArray[np.float32], count: int = _COMPONENTS) -> NDArray[np.float32]:
    """Return the principal components of rows, shape (N, count) or fewer, float32."""
    centred = values - values.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    return np.asarray((left * sizes)[:, :count], np.float32)
