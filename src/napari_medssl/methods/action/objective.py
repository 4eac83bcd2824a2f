"""The losses of one step: what student and teacher make of a batch, and what is asked of it.

Source: ACTION, arXiv 2206.02307, and ACTION++, arXiv 2304.02689; each loss is a module beside this
one, and `stages` says which are asked when. Networks run in the precision that is given, losses in
single precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medssl.methods.action.anatomical_contrast import AnatomicalContrast, anatomical_contrast
from napari_medssl.methods.action.class_centres import (
    CentreAssignment,
    class_centres,
    supervised_anatomical_contrast,
)
from napari_medssl.methods.action.distillation import MemoryBank, distillation_loss
from napari_medssl.methods.action.heads import DIM, PIXEL_STRIDE
from napari_medssl.methods.action.local_vectors import local_maps
from napari_medssl.methods.action.network import Maps
from napari_medssl.methods.action.stages import Terms
from napari_medssl.methods.action.supervision import (
    Mixture,
    confident_loss,
    mix,
    pseudo_label_loss,
    supervised_loss,
)
from napari_medssl.methods.action.teacher import Student, Teacher
from napari_medssl.methods.action.temperature import annealed_temperature
from napari_medssl.methods.action.views import IGNORED

Precision = Callable[[], AbstractContextManager[object]]

_BANK = 36  # vectors of other images
_VALID = 0.7  # confidence from which a pseudo label counts in the contrast
_PIXELS = 64  # labelled pixels of a class in a step of supervised contrast
_CROPS = 4  # crops along a side of the output, without overlap
_KINDS: tuple[Mixture, ...] = ("cutmix", "classmix", "cutout")


@dataclass(frozen=True)
class Batch:
    """What one step looks at.

    Attributes
    ----------
    labelled, truth
        Views from 0 to 1, (B, 3, S, S), and their classes, int64, (B, S, S), 255 for not painted.
    weak
        Views of unlabelled images for the teacher, (U, 3, S, S).
    strong
        The same places for the student, one such tensor a stream.
    numbers
        Which unlabelled images these are, int64, (U,): they are not among their own others.
    """

    labelled: Tensor
    truth: Tensor
    weak: Tensor
    strong: tuple[Tensor, ...]
    numbers: Tensor


class Memory(nn.Module):
    """What a training keeps besides weights: vectors of images seen, and where classes lie."""

    centres: Tensor

    def __init__(self, classes: int, local_dim: int) -> None:
        super().__init__()
        self.images = MemoryBank(_BANK, DIM)
        self.crops = MemoryBank(_BANK, local_dim)
        self.register_buffer("centres", class_centres(classes, DIM))
        self.assignment = CentreAssignment(self.centres)


@dataclass(frozen=True)
class Step:
    """One step of a training: its models, and how far the training is.

    Attributes
    ----------
    number, steps
        How far in its schedule it is, and how long that is; both in steps.
    of_stage
        Part of the stage that is done, 0 to 1.
    generator
        On the CPU.
    precision
        Gives the context in which networks run.
    """

    student: Student
    teacher: Teacher
    memory: Memory
    terms: Terms
    number: float
    steps: int
    of_stage: float
    generator: torch.Generator
    precision: Precision

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return each loss that is asked for, weighted; their sum is to be learnt."""
        terms = self.terms
        seen = self._seen_by_teacher(batch.weak) if terms.takes_unlabelled else None
        strong = batch.strong
        pseudo: list[tuple[Tensor, Tensor]] = []
        if seen is not None and terms.takes_pseudo_labels:
            strong, pseudo = self._mixed(batch.strong, seen)
        made = self._made_by_student(batch.labelled, strong)
        labelled, streams = _parted(made, len(batch.labelled) * terms.takes_masks, strong)
        found = {}
        if terms.supervised:
            found["supervised"] = terms.supervised * supervised_loss(labelled.logits, batch.truth)
        if seen is not None:
            found |= self._of_unlabelled(seen, streams, pseudo, batch.numbers)
        if terms.anatomical or terms.centres:
            found |= self._of_pixels(made, labelled, batch.truth, pseudo)
        return found

    @torch.no_grad()
    def _seen_by_teacher(self, weak: Tensor) -> Maps:
        with self.precision():
            return self.teacher.branch.network.maps(weak)

    def _made_by_student(self, labelled: Tensor, strong: tuple[Tensor, ...]) -> Maps:
        """Return maps of all that the student looks at, in one batch."""
        terms = self.terms
        looked = [labelled] if terms.takes_masks else []
        looked += list(strong) if terms.takes_unlabelled else []
        kept = None
        if terms.streams == 2:
            plain = len(labelled) * terms.takes_masks
            kept = self._complements(plain, len(strong[0]), strong[0].device)
        with self.precision():
            return self.student.branch.network.maps(torch.cat(looked), kept)

    def _complements(self, plain: int, pair: int, device: torch.device) -> tuple[Tensor, ...]:
        """Return factors: 1 for labelled images; each stream keeps what the other drops, doubled.

        Half of the pairs keep all, as in UniMatch V2, so that whole features are learnt from too.
        """
        factors = []
        whole = torch.rand(pair, 1, generator=self.generator) < 0.5
        for dim in self.student.branch.network.feature_dims():
            half = 2.0 * (torch.rand(pair, dim, generator=self.generator) < 0.5)
            first = torch.where(whole, 1.0, half)
            second = torch.where(whole, 1.0, 2 - half)
            both = torch.cat([torch.ones(plain, dim), first, second])
            factors.append(both[..., None, None].to(device))
        return tuple(factors)

    def _mixed(
        self, strong: tuple[Tensor, ...], seen: Maps
    ) -> tuple[tuple[Tensor, ...], list[tuple[Tensor, Tensor]]]:
        """Return strong views mixed with each other, and the classes and confidences of each."""
        confidence, classes = torch.softmax(seen.logits, dim=1).max(dim=1)
        views, pseudo = [], []
        for images in strong:
            kind = _KINDS[int(torch.randint(len(_KINDS), (), generator=self.generator))]
            images, mixed, sure = mix(images, classes, confidence, self.generator, kind)
            views.append(images)
            pseudo.append((mixed, sure))
        return tuple(views), pseudo

    def _of_unlabelled(
        self, seen: Maps, streams: list[Maps], pseudo: list[tuple[Tensor, Tensor]], numbers: Tensor
    ) -> dict[str, Tensor]:
        terms, found = self.terms, {}
        if terms.global_distillation:
            found["global"] = terms.global_distillation * self._global(seen, streams[0], numbers)
        if terms.local_distillation:
            found["local"] = terms.local_distillation * self._local(seen, streams[0], numbers)
        if terms.pseudo:
            rule = confident_loss if terms.is_masked else pseudo_label_loss
            losses = [
                rule(made.logits, classes, sure, threshold=terms.threshold)
                for made, (classes, sure) in zip(streams, pseudo, strict=True)
            ]
            found["pseudo"] = terms.pseudo * self._ramped() * torch.stack(losses).mean()
        if terms.consistency:
            weight = terms.consistency * self._ramped()
            made, due = (torch.softmax(one.logits, dim=1) for one in (streams[0], seen))
            found["consistency"] = weight * F.mse_loss(made, due)
        return found

    def _ramped(self) -> float:
        """Return how much the teacher's classes count now, 0 to 1 (Laine and Aila, 1610.02242)."""
        begun = min(1.0, self.of_stage / self.terms.ramp) if self.terms.ramp else 1.0
        return math.exp(-5 * (1 - begun) ** 2)

    def _global(self, seen: Maps, made: Maps, numbers: Tensor) -> Tensor:
        """Return the loss of images among other images, and keep these for later steps."""
        vectors = self.student.global_predictor(self.student.branch.global_head(made))
        with torch.no_grad():
            due = self.teacher.branch.global_head(seen)
        return self._among(vectors, due, self.memory.images, numbers)

    def _local(self, seen: Maps, made: Maps, numbers: Tensor) -> Tensor:
        """Return the loss of crops of the output among crops of other images."""
        side = made.logits.shape[2] // _CROPS
        crops = local_maps(made.logits, crop=side, stride=side // 2)
        vectors = self.student.local_predictor(self.student.branch.local_head(crops))
        with torch.no_grad():
            crops = local_maps(seen.logits, crop=side, stride=side // 2)
            due = self.teacher.branch.local_head(crops).flatten(0, 1)
        some = torch.randperm(len(due), generator=self.generator)[: _BANK // 2].to(due.device)
        owners = numbers.repeat_interleave(vectors.shape[1])
        return self._among(vectors.flatten(0, 1), due, self.memory.crops, owners, some)

    def _among(
        self,
        made: Tensor,
        due: Tensor,
        bank: MemoryBank,
        owners: Tensor,
        kept: Tensor | slice = slice(None),
    ) -> Tensor:
        anchors = bank.anchors(but=owners)
        # Among fewer than two others there is nothing to tell.
        loss = distillation_loss(made, due, anchors) if len(anchors) > 1 else 0 * made.sum()
        bank.push(due[kept], owners[kept])
        return loss

    def _of_pixels(
        self, made: Maps, labelled: Maps, truth: Tensor, pseudo: list[tuple[Tensor, Tensor]]
    ) -> dict[str, Tensor]:
        terms, found = self.terms, {}
        with self.precision():
            vectors = self.student.branch.representation_head(made)
        heat = annealed_temperature(self.number, self.steps) if terms.is_annealed else None
        if terms.anatomical:
            classes = torch.cat([truth, *(one for one, _ in pseudo)])
            sure = torch.cat([torch.ones_like(truth, dtype=vectors.dtype), *(s for _, s in pseudo)])
            classes, sure = _thin(classes), _thin(sure)
            valid = (classes != IGNORED) & (sure >= _VALID)
            settings = AnatomicalContrast() if heat is None else AnatomicalContrast(heat)
            found["anatomical"] = terms.anatomical * anatomical_contrast(
                vectors,
                classes,
                valid,
                _thin(torch.softmax(made.logits, dim=1).detach()),
                self.generator,
                settings,
            )
        if terms.centres:
            own = vectors[: len(truth)]
            found["centres"] = terms.centres * self._to_centres(own, _thin(truth), heat or 0.5)
        return found

    def _to_centres(self, vectors: Tensor, truth: Tensor, temperature: float) -> Tensor:
        """Return the supervised contrast of some labelled pixels of each class."""
        flat, classes = vectors.permute(0, 2, 3, 1).flatten(0, 2), truth.flatten()
        chosen = []
        for number in torch.unique(classes[classes != IGNORED]).tolist():
            places = (classes == number).nonzero()[:, 0]
            order = torch.randperm(len(places), generator=self.generator)[:_PIXELS]
            chosen.append(places[order.to(places.device)])
        if not chosen:
            return 0 * vectors.sum()
        some = torch.cat(chosen)
        memory = self.memory
        memory.assignment.update(flat[some].detach(), classes[some])
        return supervised_anatomical_contrast(
            flat[some],
            classes[some],
            memory.centres,
            memory.assignment.assignment(),
            temperature,
        )


def _thin(planes: Tensor) -> Tensor:
    """Return planes as the representation lies: the middle of each of its squares."""
    start = PIXEL_STRIDE // 2
    return planes[..., start::PIXEL_STRIDE, start::PIXEL_STRIDE]


def _parted(made: Maps, labelled: int, strong: tuple[Tensor, ...]) -> tuple[Maps, list[Maps]]:
    """Return the maps of labelled images, and of each stream."""

    def of(start: int, end: int) -> Maps:
        decoder = tuple(one[start:end] for one in made.decoder)
        return Maps(made.bottleneck[start:end], decoder, made.logits[start:end])

    streams, at = [], labelled
    for images in strong:
        streams.append(of(at, at + len(images)))
        at += len(images)
    return of(0, labelled), streams
