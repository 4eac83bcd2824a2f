"""Threads of torch sleep soon in the processes that compute, unless a person says otherwise."""

from __future__ import annotations

import pytest
import training_work as work

from napari_medssl.backend.compute_process import ComputeProcess
from napari_medssl.backend.training import run_in_child


@pytest.mark.parametrize(
    ("chosen", "due"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)],
)
def test_they_are_told_before_torch_comes(chosen, due, monkeypatch):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    assert run_in_child(work.tell_openmp, None) == (due, False)
    process = ComputeProcess()
    try:
        assert process.call("training_work:tell_openmp", None) == (due, False)
    finally:
        process.close()
