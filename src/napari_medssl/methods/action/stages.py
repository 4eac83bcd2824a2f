"""The stages of a training and what each asks for; recipes are stages one after the other.

Source: ACTION, arXiv 2206.02307 (global distillation, local distillation, anatomical contrast, by
100, 100 and 200 epochs) and ACTION++, arXiv 2304.02689. The recipes beside them: mean teacher
(Tarvainen and Valpola, arXiv 1703.01780), and strong-weak after UniMatch V2 (Yang et al., arXiv
2410.10777): two strong views of each image, each without the half of the features that the other
keeps, learn the teacher's confident classes, here by equation 3 of `supervision`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Terms:
    """Weights of what is asked for in a stage; zero leaves it out.

    Attributes
    ----------
    supervised
        The masks: half of cross-entropy plus Dice.
    global_distillation, local_distillation
        Of images among others, and of crops of the output.
    pseudo
        The teacher's classes where it is sure.
    consistency
        The teacher's shares of classes, as squared differences; ramped up.
    anatomical
        Contrast of classes between pixels.
    centres
        Supervised contrast with fixed class centres (ACTION++).
    ramp
        Part of the stage until the teacher's classes count fully: one that knows nothing yet would
        teach that all is background.
    streams
        Strong views of each unlabelled image.
    threshold
        Confidence from which a pseudo label counts in `pseudo`.
    is_masked
        Whether pixels of which the teacher is not so sure are left out of `pseudo`, with a
        threshold of each class; else a loss of all pixels counts as much as there are sure ones,
        as in ACTION.
    is_annealed
        Whether temperatures of contrast follow the schedule of ACTION++.
    """

    supervised: float = 0.0
    global_distillation: float = 0.0
    local_distillation: float = 0.0
    pseudo: float = 0.0
    consistency: float = 0.0
    anatomical: float = 0.0
    centres: float = 0.0
    ramp: float = 0.4
    streams: int = 1
    threshold: float = 0.97
    is_masked: bool = False
    is_annealed: bool = False

    @property
    def distils(self) -> bool:
        """Whether images or crops are to lie among others as for the teacher."""
        return bool(self.global_distillation or self.local_distillation)

    @property
    def takes_pseudo_labels(self) -> bool:
        """Whether the teacher's classes are used as labels."""
        return bool(self.pseudo or self.anatomical)

    @property
    def takes_masks(self) -> bool:
        """Whether labelled images are looked at."""
        return bool(self.supervised or self.anatomical or self.centres)

    @property
    def takes_unlabelled(self) -> bool:
        """Whether unlabelled images are looked at."""
        return bool(self.distils or self.takes_pseudo_labels or self.consistency)


_STRONG_WEAK = Terms(supervised=1.0, pseudo=1.0, streams=2, threshold=0.95, is_masked=True)

STAGES: dict[str, Terms] = {
    "global": Terms(global_distillation=1.0),
    "distillation": Terms(global_distillation=1.0, local_distillation=1.0),
    "local": Terms(supervised=1.0, global_distillation=0.01, local_distillation=0.01),
    "anatomical": replace(_STRONG_WEAK, anatomical=0.01),
    "anatomical++": replace(_STRONG_WEAK, anatomical=0.01, centres=0.1, is_annealed=True),
    "pseudo": Terms(supervised=1.0, pseudo=1.0),
    "supervised": Terms(supervised=1.0),
    "mean-teacher": Terms(supervised=1.0, consistency=10.0),
    "strong-weak": _STRONG_WEAK,
}
"""What each stage asks for.

The last stages of ACTION and ACTION++ are strong-weak with a contrast. `pseudo` has the rule for
pseudo labels that ACTION prints, which kept small classes from being learnt. `distillation` is the
second stage without masks: it begins a network with images alone. Beside masks, distillation weighs
as little as the contrast: at full weight, in some hundred steps, it kept small classes out too.
"""

PARTS: dict[str, int] = {"global": 1, "distillation": 1, "local": 2}
"""Part of the steps that a stage has among others; 14 where nothing is said.

The paper has 1, 1 and 2: from random weights there is more to distil than from trained ones. With
2 and 4 parts of 20 the models were worse.
"""

RECIPES: dict[str, tuple[str, ...]] = {
    "action": ("global", "local", "anatomical"),
    "action++": ("global", "local", "anatomical++"),
}
"""Names of several stages."""


def parse_stages(text: str) -> tuple[str, ...]:
    """Return the stages that a text such as "action" or "local,anatomical" names.

    Raises
    ------
    ValueError
        If it names none, or one that is not known.
    """
    found: list[str] = []
    for word in (part.strip() for part in text.split(",")):
        found += RECIPES.get(word, (word,))
    unknown = [name for name in found if name not in STAGES]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no stage; due are {', '.join((*RECIPES, *STAGES))}.")
    return tuple(found)


def stage_ends(stages: tuple[str, ...], steps: int) -> tuple[int, ...]:
    """Return the step at which each stage ends; each has one step at least.

    Raises
    ------
    ValueError
        If there are fewer steps than stages.
    """
    if steps < len(stages):
        raise ValueError(f"{steps} steps for {len(stages)} stages; due is one of each at least.")
    parts = [PARTS.get(name, 14) for name in stages]
    ends, before = [], 0
    for number in range(len(stages)):
        end = round(steps * sum(parts[: number + 1]) / sum(parts))
        end = min(max(end, before + 1), steps - (len(stages) - number - 1))
        ends.append(end)
        before = end
    return tuple(ends)
