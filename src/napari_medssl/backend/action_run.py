"""The steps of a training of ACTION, in memory: what files and comparisons have in common."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_medssl.backend.action_course import Course
from napari_medssl.backend.action_data import ActionImages
from napari_medssl.backend.mixed_precision import mixed_precision
from napari_medssl.backend.train_steps import learning_rate_at
from napari_medssl.backend.transfer_run import draw_evenly

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from napari_medssl.methods.action.network import SegmentationUNet
    from napari_medssl.methods.action.objective import Batch
    from napari_medssl.methods.action.stages import Terms
    from napari_medssl.methods.action.views import Sampling


@dataclass(frozen=True)
class Schedule:
    """What is asked of a run.

    Attributes
    ----------
    stages
        Names, see `methods.action.stages`.
    steps
        Of all stages together; a run that keeps to a time takes more or fewer, see `Course`.
    batch
        Labelled images in a step, and unlabelled ones.
    size
        Side of a crop in pixels.
    learning_rate, trunk_rate
        Peak of AdamW's, and the part of it that the trunk has.
    inverted
        Chance that a strong view is a negative, see `action_polarity`.
    """

    stages: tuple[str, ...]
    steps: int
    batch: int = 4
    size: int = 192
    learning_rate: float = 0.003
    trunk_rate: float = 0.2
    amp: bool = True
    inverted: float = 0.0


class ActionRun:
    """Student, teacher and what they remember, step by step.

    Steps follow from the seed and their number alone, so a run whose modules and optimizer are
    restored goes on as if it had not been broken.

    Parameters
    ----------
    network
        The student's, with the weights that it starts from.
    images
        What is learnt from.
    seed
        Of heads, images and views.
    device
        Torch name.

    Attributes
    ----------
    course
        Where in the schedule it is.
    ending
        First step of a short way down, and the step at which the run ends then, if it is told to
        end early; else None.
    """

    def __init__(
        self,
        network: SegmentationUNet,
        images: ActionImages,
        schedule: Schedule,
        seed: int,
        device: str,
    ) -> None:
        import torch

        from napari_medssl.methods.action.objective import Memory
        from napari_medssl.methods.action.stages import stage_ends
        from napari_medssl.methods.action.teacher import Student, Teacher, momentum_for

        self.images, self.schedule, self.seed, self.device = images, schedule, seed, device
        self.ends = stage_ends(schedule.stages, schedule.steps)
        torch.manual_seed(seed)
        self.student = Student(network).to(device).train()
        self.student.branch.network.trunk.follow_batches()
        if device.startswith("cpu"):
            # `nn.Module.to` has no typed overload for a memory format alone.
            self.student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.teacher = Teacher(self.student, momentum_for(schedule.steps))
        local_dim = self.student.branch.local_head.dim
        self.memory = Memory(network.classes, local_dim).to(device)
        self.optimizer = torch.optim.AdamW(self._groups(), lr=schedule.learning_rate)
        self.course = Course(schedule.steps)
        self.done = 0
        self.ending: tuple[int, int] | None = None

    def _groups(self) -> list[dict[str, object]]:
        """Return the optimizer's groups: decay for weights alone, a lower rate for the trunk."""
        trunk = {id(p) for p in self.student.branch.network.trunk.parameters()}
        parameters = list(self.student.parameters())
        groups = []
        for is_trunk in (False, True):
            for is_weight in (False, True):
                group = [
                    p for p in parameters if (id(p) in trunk, p.ndim > 1) == (is_trunk, is_weight)
                ]
                part = self.schedule.trunk_rate if is_trunk else 1.0
                groups.append(
                    {"params": group, "part": part, "weight_decay": 0.01 if is_weight else 0.0}
                )
        return groups

    def modules(self) -> dict[str, nn.Module]:
        """Return what is saved and restored, by name."""
        return {"student": self.student, "teacher": self.teacher, "memory": self.memory}

    @property
    def stage(self) -> str:
        """Name of the stage of the next step."""
        return self.schedule.stages[self.stage_number]

    @property
    def end(self) -> int:
        """How many steps it takes in all, as far as is known."""
        return self.course.total if self.ending is None else self.ending[1]

    @property
    def teaches_in_full(self) -> bool:
        """Whether this is the last stage, and the teacher's classes count in full if they do."""
        from napari_medssl.methods.action.stages import STAGES

        terms = STAGES[self.stage]
        is_last = self.stage_number == len(self.ends) - 1
        is_ramped = bool(terms.pseudo or terms.consistency)
        return is_last and (not is_ramped or self._of_stage() >= terms.ramp)

    @property
    def place(self) -> float:
        """How far in the schedule it is, from 0 to its steps."""
        return self.course.place(self.done)

    @property
    def stage_number(self) -> int:
        """Number of the stage of the next step, from 0."""
        return min(sum(end <= self.place for end in self.ends), len(self.ends) - 1)

    def take_course(self, course: Course) -> None:
        """Follow another course; the teacher looks back as in a training of as many steps."""
        from napari_medssl.methods.action.teacher import momentum_for

        self.course = course
        self.teacher.momentum = momentum_for(course.total)

    def end_after(self, left: int) -> None:
        """Have the schedule end so many steps from here."""
        self.course.end_after(self.done, left)
        self.take_course(self.course)

    def step(self) -> dict[str, float]:
        """Take one step; return the losses and the learning rate."""
        import torch

        from napari_medssl.methods.action.objective import Step
        from napari_medssl.methods.action.stages import STAGES
        from napari_medssl.methods.local_discrimination.views import step_generator

        generator = step_generator(self.seed, self.done)
        terms, rate = STAGES[self.stage], self._set_rate()
        step = Step(
            self.student,
            self.teacher,
            self.memory,
            terms,
            self.place,
            self.schedule.steps,
            self._of_stage(),
            generator,
            lambda: mixed_precision(self.device, self.schedule.amp),
        )
        parts = step.losses(self._draw(terms, generator))
        loss = torch.stack(list(parts.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 10.0)
        self.optimizer.step()
        self.teacher.update(self.student)
        self.done += 1
        values = torch.stack([loss.detach(), *(p.detach() for p in parts.values())]).tolist()
        return dict(zip(("loss", *parts), values, strict=True)) | {"learning_rate": rate}

    def _set_rate(self) -> float:
        """Set the rates of this step: one course over all stages, so that none forgets the last."""
        schedule = self.schedule
        if self.ending is None:
            rate = learning_rate_at(self.place, schedule.steps, schedule.learning_rate)
        else:
            from napari_medssl.methods.action.settling import ending_rate

            first, end = self.ending
            place = self.course.place(first)
            before = learning_rate_at(place, schedule.steps, schedule.learning_rate)
            rate = ending_rate(self.done, first, end, before, 0.02 * schedule.learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["part"]
        return rate

    def _of_stage(self) -> float:
        """Return which part of this stage is done."""
        number = self.stage_number
        start = self.ends[number - 1] if number else 0
        return (self.place - start) / (self.ends[number] - start)

    def _draw(self, terms: Terms, generator: torch.Generator) -> Batch:
        """Return the images of a step; those that nothing is asked of are not drawn."""
        import torch

        from napari_medssl.methods.action.objective import Batch
        from napari_medssl.methods.action.views import same_places, strong_views, weak_views

        how, none = self._sampling(), torch.empty(0, device=self.device)
        labelled = truth = weak = none
        numbers: list[int] = []
        strong: tuple[Tensor, ...] = (none,)
        if terms.takes_masks:
            pairs = self.images.labelled
            chosen = [pairs[n] for n in self._choose(len(pairs), generator)]
            views, places = weak_views([pixels for pixels, _ in chosen], how, generator)
            labelled = strong_views(views, how, generator)
            truth = same_places([classes for _, classes in chosen], places)
        if terms.takes_unlabelled:
            numbers = self._choose(len(self.images.unlabelled), generator)
            images = [self.images.unlabelled[n] for n in numbers]
            weak, _ = weak_views(images, how, generator)
            base = weak
            if not (terms.local_distillation or terms.takes_pseudo_labels or terms.consistency):
                base, _ = weak_views(images, how, generator)
            strong = tuple(strong_views(base, how, generator) for _ in range(terms.streams))
        return Batch(
            self._there(labelled),
            truth.to(self.device),
            self._there(weak),
            tuple(map(self._there, strong)),
            torch.tensor(numbers, dtype=torch.int64, device=self.device),
        )

    def _there(self, views: Tensor) -> Tensor:
        import torch

        if self.device.startswith("cpu") and views.ndim == 4:
            return views.contiguous(memory_format=torch.channels_last)
        return views.to(self.device)

    def _sampling(self) -> Sampling:
        from napari_medssl.methods.action.views import Sampling

        return Sampling(size=self.schedule.size, inverted=self.schedule.inverted)

    def _choose(self, count: int, generator: torch.Generator) -> list[int]:
        return draw_evenly(count, self.schedule.batch, generator)

    def network(self, keep: str) -> SegmentationUNet:
        """Return a copy of the network of the "student" or the "teacher", as in use.

        A copy: the student's own has to stay as in training if more steps follow.
        """
        branch = self.student.branch if keep == "student" else self.teacher.branch
        return copy.deepcopy(branch.network).eval()
