"""A library on disk, empty."""

import pytest

from napari_medssl.index.library import Library


@pytest.fixture
def library(tmp_path):
    return Library.open(tmp_path / "library", make=True)
