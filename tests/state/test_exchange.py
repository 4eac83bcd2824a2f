"""What of a project is exported."""

from __future__ import annotations

import pytest

from napari_medssl.io.boxes import Box
from napari_medssl.state.exchange import to_export
from napari_medssl.state.project import Project
from napari_medssl.state.queue import ReviewState

LOW, HIGH = Box(0, 0, 9, 9, score=0.3), Box(10, 0, 19, 9, score=0.9)


@pytest.fixture
def project(tmp_path):
    path = tmp_path / "figure.png"
    path.write_bytes(b"any bytes")
    with Project.create(tmp_path / "job.medssl") as project:
        project.add_images([(path, None)])
        project.store(project.keys()[0], (100, 80)).add(LOW, HIGH)
        yield project


def test_the_score_filters_what_nobody_has_accepted(project):
    (figure,) = to_export(project, ReviewState, threshold=0.5)
    assert figure.boxes == (HIGH,)


def test_every_box_of_an_accepted_figure_is_exported(project):
    project.set_state(project.keys()[0], ReviewState.DONE)
    (figure,) = to_export(project, ReviewState, threshold=0.5)
    assert figure.boxes == (LOW, HIGH)
