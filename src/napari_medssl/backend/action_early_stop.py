"""End a training of ACTION early, when what its teacher finds hardly changes any more.

The rate follows one cosine over all steps, so a training that just stopped would be left at a high
one. It takes a short way down instead, a tenth of the steps. It is watched only in its last stage,
and not before the teacher's classes count in full there. Looking draws nothing at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_medssl.backend.action_previews import teacher_classes

if TYPE_CHECKING:
    from torch import nn

    from napari_medssl.backend.action_run import ActionRun

_MOST = 8  # images
_PARTS = 20  # looks in a training: as far apart as the teacher of a short one looks back
_WAY_DOWN = 10  # part of the steps
_WORTH = 0.9  # of the steps: an end after them saves nothing


class EarlyStop:
    """Watches a run from outside and tells it to end; `module` is what a checkpoint keeps.

    Parameters
    ----------
    run
        Just begun.
    """

    def __init__(self, run: ActionRun) -> None:
        from napari_medssl.methods.action.settling import Settling

        self._run = run
        views, _ = teacher_classes(run, _MOST)
        self._settling = Settling(len(views), run.schedule.size)
        self._every = max(1, run.schedule.steps // _PARTS)

    @property
    def module(self) -> nn.Module:
        """What is saved and restored."""
        return self._settling

    def restored(self) -> None:
        """Tell the run what its checkpoint says: call it after `module` was restored."""
        self._end_from(int(self._settling.ending))

    def after_step(self, values: dict[str, float]) -> dict[str, float]:
        """Look if it is time to; return what the progress of the step says of it.

        Parameters
        ----------
        values
            What `ActionRun.step` returned.
        """
        run, settling = self._run, self._settling
        # The step that ends a stage without masks has no such loss.
        if run.ending is not None or not run.teaches_in_full or "supervised" not in values:
            return {}
        settling.add_loss(values["supervised"])
        if run.place // self._every == run.course.place(run.done - 1) // self._every:
            return {}
        change = settling.look(teacher_classes(run, _MOST)[1])
        if change is None:
            return {}
        is_worth_it = run.done + self._way_down <= _WORTH * run.course.total
        if is_worth_it and settling.has_settled(change):
            settling.ending.fill_(run.done)
            self._end_from(run.done)
        return {"changed": change}

    @property
    def _way_down(self) -> int:
        return max(1, self._run.course.total // _WAY_DOWN)

    def _end_from(self, step: int) -> None:
        if step:
            self._run.ending = (step, step + self._way_down)
