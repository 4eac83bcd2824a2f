"""Places that people type."""

import pytest

from napari_medssl._errors import UserError
from napari_medssl.widgets.slides.go_to import location_text, parse_location

MPP, SIZE = (0.5, 0.25), (20_000, 10_000)


@pytest.mark.parametrize(
    "text",
    [
        "12000, 8000",
        "12000 8000",
        "12000;8000",
        "12000,8000",
        "(12000, 8000)",
        "[12000 8000]",
        "x=12000 y=8000",
        "X: 12000, Y: 8000 px",
        "12000 px 8000 px",
        "6000 um, 2000 um",
        "6000, 2000 µm",
        "6 mm 2 mm",
        "6mm,2mm",
        "6,0 mm; 2,0 mm",
        "0.6 cm 0.2 cm",
        "6e3 um 2e3 um",
        "1.2e4 8e3",
    ],
)
def test_a_place_is_understood(text):
    assert parse_location(text, MPP, SIZE) == pytest.approx((12_000, 8_000))


@pytest.mark.parametrize("text", ["", "12", "a, b", "1, 2, 3", "12000 x", "1 2 of 3", "nan nan"])
def test_no_place_is_refused_with_an_example(text):
    with pytest.raises(UserError, match=r"is no place. Type x and y, such as"):
        parse_location(text, MPP, SIZE)


def test_places_outside_name_the_size():
    with pytest.raises(UserError, match="y = 10,001 px is outside the slide, which is 20000 x 10"):
        parse_location("5 10001", MPP, SIZE)
    with pytest.raises(UserError, match="x = -1 px is outside"):
        parse_location("-1 5", MPP, SIZE)


def test_microns_need_mpp():
    with pytest.raises(UserError, match="give the place in pixels"):
        parse_location("5 um, 5 um", None, SIZE)
    assert parse_location("5 5", None, SIZE) == (5, 5)


def test_unknown_units_are_named():
    with pytest.raises(UserError, match=r"'inch' is not known"):
        parse_location("5 inch, 5 inch", MPP, SIZE)


def test_a_place_in_words():
    assert location_text(12_000, 8_000, MPP) == "x 12000, y 8000 px (6000, 2000 µm)"
    assert location_text(1, 2, None) == "x 1, y 2 px"
