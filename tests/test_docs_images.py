"""The pictures of the documentation: there, and small enough to be loaded with a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MOST_BYTES = 200_000
_LINK = re.compile(r"!\[(?P<words>[^\]]*)\]\((?P<place>[^)]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_picture_of_a_page_is_there_and_told_in_words(page):
    for link in _LINK.finditer(page.read_text("utf-8")):
        assert link["words"], link[0]
        if "://" not in link["place"]:
            assert (page.parent / link["place"]).is_file(), link[0]


def test_the_pictures_of_segmentation_are_small():
    """Those of other widgets follow when they are taken anew: `docs_images.py` shrinks all."""
    found = sorted((ROOT / "docs" / "images").glob("segmentation_*.png"))
    assert len(found) >= 7
    assert not [path.name for path in found if path.stat().st_size > MOST_BYTES]
