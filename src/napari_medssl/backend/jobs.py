"""How long work reports and stops: plain callbacks, no threads and no widgets here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a long job: `done` of `total` (None if unknown), and words for a person.

    `values` carries numbers worth drawing, such as losses, by name.
    """

    done: int
    total: int | None = None
    message: str = ""
    values: dict[str, Any] = field(default_factory=dict)


OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]


class Cancelled(Exception):  # noqa: N818 - the user asked for it, nothing went wrong
    """Raised by a job that was asked to stop, after it left everything in order."""


def ignore(progress: Progress) -> None:
    """Take no notice of progress: the default of every `on_progress`."""


def never() -> bool:
    """Never ask to stop: the default of every `should_stop`."""
    return False
