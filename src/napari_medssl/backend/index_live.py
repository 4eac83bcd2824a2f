"""Index slides while a person looks at them: what is in view comes first.

Called in the compute process. `look_towards` is called there too, meanwhile: it says where the
person looks now.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_medssl.backend.index_config import IndexConfig, IndexReport
from napari_medssl.backend.index_slides import index_slides
from napari_medssl.backend.jobs import OnProgress, ShouldStop, ignore, never

_looked_at: dict[str, tuple[float, float] | None] = {"point": None}


def index_in_view(
    slides: Sequence[str],
    library: Path,
    config: IndexConfig,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> IndexReport:
    """Do what `index_slides` does, from the place of the last `look_towards` outwards."""
    return index_slides(
        slides,
        library,
        config,
        towards=lambda: _looked_at["point"],
        on_progress=on_progress,
        should_stop=should_stop,
    )


def look_towards(
    point: tuple[float, float] | None,
    *,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> None:
    """Say which level-0 point is looked at; None if it is none of the slide that is indexed."""
    _looked_at["point"] = point
