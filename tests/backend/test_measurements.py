"""Distances and angles between landmarks, against complex numbers and closed forms."""

from __future__ import annotations

import cmath
import csv
import math

import numpy as np
import pytest

from napari_medssl._errors import UserError
from napari_medssl.backend.measure_files import MeasureConfig, measure_file, read_definitions
from napari_medssl.backend.measurements import (
    NOTHING,
    Measured,
    measure,
    needed_landmarks,
    parse_definition,
    parse_definitions,
    with_renamed,
)

LINES = """
AB = distance A B
ABC = angle A B C
lines = angle A B / C D
from line = distance C / A B
diff = difference ABC lines
"""


def slow(places, spacing=(1.0, 1.0)):
    """The same by complex numbers: lengths are moduli, angles arguments of quotients."""
    a, b, c, d = (complex(x * spacing[0], y * spacing[1]) for x, y in (places[k] for k in "ABCD"))
    at_b = abs(math.degrees(cmath.phase((a - b) / (c - b))))
    lines = abs(math.degrees(cmath.phase((b - a) / (d - c))))
    off = ((c - a) / (b - a) * abs(b - a)).imag
    return {"AB": abs(a - b), "ABC": at_b, "lines": lines, "from line": off, "diff": at_b - lines}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spacing", [None, (0.5, 0.5), (0.1, 0.7)])
def test_measurements_are_those_of_complex_numbers(seed, spacing):
    rng = np.random.default_rng(seed)
    places = {name: tuple(rng.uniform(-500, 500, 2).tolist()) for name in "ABCD"}
    found = measure(parse_definitions(LINES.splitlines()), places, spacing)
    in_px, in_mm = slow(places), slow(places, spacing or (1.0, 1.0))
    for name in ("AB", "from line"):
        assert found[name].px == pytest.approx(in_px[name])
        assert found[name].mm == (None if spacing is None else pytest.approx(in_mm[name]))
        assert found[name].degrees is None
    for name in ("ABC", "lines", "diff"):
        assert found[name].degrees == pytest.approx(in_mm[name])
        assert found[name].px is None


def test_known_figures():
    places = {"S": (0, 0), "N": (3, 4), "A": (3, 0), "B": (6, 4)}
    found = measure(
        parse_definitions(
            ["SN = distance S N", "SNA = angle S N A", "right = angle N A S", "SNB = angle S N B",
             "ANB = difference SNA SNB", "flat = angle S A / N B", "below = distance N / S A"]
        ),
        places,
    )  # fmt: skip
    assert found["SN"] == Measured(px=5)
    assert found["right"].degrees == pytest.approx(90)
    assert found["SNA"].degrees == pytest.approx(math.degrees(math.atan2(3, 4)))
    assert found["ANB"].degrees < 0
    assert found["flat"].degrees == 0
    assert found["below"].px == 4  # on the right hand of who walks to the right: below


def test_angles_do_not_depend_on_turns_and_sizes():
    rng = np.random.default_rng(1)
    points = rng.uniform(-1, 1, (4, 2))
    turn = np.deg2rad(33)
    matrix = 7 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    measurements = parse_definitions(LINES.splitlines())
    before, after = (
        measure(measurements, dict(zip("ABCD", map(tuple, p.tolist()), strict=True)))
        for p in (points, points @ matrix.T)
    )
    assert after["ABC"].degrees == pytest.approx(before["ABC"].degrees)
    assert after["lines"].degrees == pytest.approx(before["lines"].degrees)
    assert after["from line"].px == pytest.approx(7 * before["from line"].px)


def test_what_is_missing_is_left_empty():
    found = measure(parse_definitions(LINES.splitlines()), {"A": (0, 0), "B": (1, 1), "C": (1, 1)})
    assert found["AB"].px == pytest.approx(math.sqrt(2))
    assert found["lines"] == found["diff"] == NOTHING
    assert found["ABC"] == NOTHING  # C lies on B: the angle has one side only


def test_definitions_are_written_as_they_are_read():
    lines = ["'left apex' = distance 'left apex' 'A/B'", "FMA = angle Po Or / Go Me"]
    found = parse_definitions(["# cephalometry", "", *lines])
    assert found[0].points == ("left apex", "A/B")
    assert parse_definitions([each.line for each in found]) == found
    assert needed_landmarks(found) == ("left apex", "A/B", "Po", "Or", "Go", "Me")


def test_definitions_follow_a_landmark_that_is_called_otherwise():
    lines = ("A = angle A B C", "d = distance 'A' / B C", "x = difference A A", "", "# A", "A B = ")
    fresh = with_renamed(lines, {"A": "nasion 1", "B": "A"})
    assert fresh[:2] == ("A = angle 'nasion 1' A C", "d = distance 'nasion 1' / A C")
    assert fresh[2:] == lines[2:]  # what is no landmark stays
    assert with_renamed(fresh, {"nasion 1": "A", "A": "B"}) == (
        lines[0],
        "d = distance A / B C",
        *lines[2:],
    )
    assert with_renamed(["AB = distance A B", "'"], {"A": "B"}) == ("AB = distance A B", "'")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SN distance S N", "has no '='"),
        ("= distance S N", "has no name"),
        ("SN = ", "it is empty"),
        ("SN = distance S", "no measurement is written so"),
        ("SN = length S N", "Due is 'distance A B'"),
        ("SN = distance S S", "'S' stands twice"),
        ("SN = distance 'S N", "no closing quotation"),
        ("D = difference X Y", "no measurement 'X' before it"),
    ],
)
def test_what_is_no_definition_is_told(line, message):
    with pytest.raises(UserError, match=message):
        parse_definitions([line])


def test_definitions_that_do_not_fit_together_are_told():
    with pytest.raises(UserError, match="Two measurements are called 'a'"):
        parse_definitions(["a = distance X Y", "a = distance X Z"])
    with pytest.raises(UserError, match="one is a length, the other an angle"):
        parse_definitions(["a = distance X Y", "b = angle X Y Z", "c = difference a b"])
    assert parse_definition("a", "Distance X Y").kind == "distance"


@pytest.fixture
def points(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text(
        "image,label,x,y\na.png,S,0,0\na.png,N,3,4\na.png,A,3,0\nb.png,S,0,0\nb.png,N,0,10\n"
    )
    return path


def test_a_table_has_a_row_for_each_image(tmp_path, points):
    definitions = tmp_path / "d.csv"
    definitions.write_text("name,definition\nSN,distance S N\nSNA,angle S N A\n")
    out = tmp_path / "m.csv"
    report = measure_file(points, definitions, out, MeasureConfig(mm_per_pixel=0.5))
    assert (report.images, report.measurements, report.empty) == (2, 2, 1)
    with out.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows == [
        {"image": "a.png", "SN_px": "5.0", "SN_mm": "2.5", "SNA_deg": "36.869898"},
        {"image": "b.png", "SN_px": "10.0", "SN_mm": "5.0", "SNA_deg": ""},
    ]
    measure_file(points, definitions, out, MeasureConfig())
    assert out.read_text().splitlines()[0] == "image,SN_px,SNA_deg"


def test_bad_files_of_definitions_are_told(tmp_path, points):
    path = tmp_path / "d.csv"
    path.write_text("name,what\nSN,distance S N\n")
    with pytest.raises(UserError, match="no column 'definition'"):
        read_definitions(path)
    path.write_text("name,definition\n")
    with pytest.raises(UserError, match="defines no measurement"):
        read_definitions(path)
    lines = tmp_path / "d.txt"
    lines.write_text("SX = distance S X\n")
    with pytest.raises(UserError, match=r"No image has a landmark 'X'. Those there are: S, N, A"):
        measure_file(points, lines, tmp_path / "m.csv", MeasureConfig())


def test_the_command_line_measures(tmp_path, points, capsys):
    from napari_medssl.cli import main

    lines = tmp_path / "d.txt"
    lines.write_text("SN = distance S N\nANB = angle A N S\n")
    out = tmp_path / "m.csv"
    words = ["measure", str(points), "--definitions", str(lines), "--out", str(out)]
    assert main(words) == 0
    told = capsys.readouterr()
    assert "2 measurements of 2 images written to" in told.out
    assert "1 value empty" in told.err
    assert out.read_text().startswith("image,SN_px,ANB_deg\n")
    assert main([*words[:-1], str(points)]) == 2
    assert "is an input" in capsys.readouterr().err
