"""Hits as GeoJSON, CSV, contact sheet and HTML; counts of a concept in slides."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest
from index_world import fingerprint, make_vectors, put_slide
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.concept_counts import count_in_slides, write_counts
from napari_medssl.backend.export_hits import (
    NamedHit,
    write_contact_sheet,
    write_hits_csv,
    write_hits_geojson,
    write_hits_html,
)
from napari_medssl.backend.stain_rank import HitStain
from napari_medssl.index import Hit, Library, Tile, open_collection
from napari_medssl.io.geojson import read_geojson

HITS = [
    NamedHit(Hit(Tile("a", 100 * n, 50, 64, 1.0), 0.9 - n / 10), f"=slide<{n}>", "/s/a.svs", "P")
    for n in range(3)
]
STAIN = ("without_stain", "stain_share", "due_to_stain")
PICTURES = [np.full((40, 40, 3), 50 * n, np.uint8) for n in range(2)] + [None]


def test_geojson_holds_the_tiles_as_qupath_reads_them(tmp_path):
    write_hits_geojson(HITS, tmp_path / "hits.geojson")
    features = read_geojson(tmp_path / "hits.geojson").features
    assert [feature.roi.shape.bounds for feature in features] == [
        (100 * n, 50, 100 * n + 64, 114) for n in range(3)
    ]
    assert features[0].object_type == "detection"
    assert features[1].measurements["similarity"] == pytest.approx(0.8)


def test_geojson_of_several_slides_is_refused(tmp_path):
    other = NamedHit(Hit(Tile("b", 0, 0, 64, 1.0), 0.5), "b")
    with pytest.raises(UserError, match="The hits lie on 2 slides"):
        write_hits_geojson([*HITS, other], tmp_path / "hits.geojson")


def test_csv_has_a_row_a_hit_and_no_formula(tmp_path):
    write_hits_csv(HITS, tmp_path / "hits.csv")
    with (tmp_path / "hits.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert rows[1]["slide"] == "'=slide<1>"
    assert (rows[2]["x"], rows[2]["y"], rows[2]["size"]) == ("200", "50", "64")
    assert float(rows[2]["similarity"]) == pytest.approx(0.7)


def test_the_stain_is_in_the_table_and_on_the_page(tmp_path):
    hits = [replace(HITS[0], stain=HitStain(0.61234, 0.8, 0.1)), HITS[1]]
    assert hits[0].stain.is_due
    write_hits_csv(hits, tmp_path / "hits.csv")
    with (tmp_path / "hits.csv").open(encoding="utf-8", newline="") as stream:
        rows = [[row[k] for k in STAIN] for row in csv.DictReader(stream)]
    assert rows == [["0.61234", "0.8", "yes"], ["", "", ""]]
    write_hits_html(hits, PICTURES[:2], [], tmp_path / "hits.html")
    assert (tmp_path / "hits.html").read_text("utf-8").count("0.612 without stain, due to") == 1
    write_hits_geojson(hits, tmp_path / "hits.geojson")
    told = [one.measurements for one in read_geojson(tmp_path / "hits.geojson").features]
    assert told == [{"similarity": 0.9, "without stain": 0.61234}, {"similarity": 0.8}]


def test_the_contact_sheet_shows_the_pictures(tmp_path):
    write_contact_sheet(HITS, PICTURES, tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert (sheet[10, 10] == 0).all()
    assert (sheet[10, 8 + 48 + 2] == 50).all()


def test_the_page_holds_everything_and_loads_nothing(tmp_path):
    write_hits_html(HITS, PICTURES, [("query.png", True, PICTURES[1])], tmp_path / "hits.html")
    text = (tmp_path / "hits.html").read_text("utf-8")
    assert text.count("data:image/jpeg;base64,") == 3
    assert "=slide&lt;2&gt;" in text
    assert "<slide" not in text
    assert not re.search(r"https?://|<script|<link", text)


def test_nothing_to_export_is_told(tmp_path):
    with pytest.raises(UserError, match="no hit to export"):
        write_contact_sheet([], [], tmp_path / "sheet.png")
    with pytest.raises(UserError, match="no hit to export"):
        write_hits_html([], [], [], tmp_path / "hits.html")
    assert not list(tmp_path.iterdir())


def test_a_concept_is_counted_in_every_slide(tmp_path):
    library = Library.open(tmp_path / "library", make=True)
    vectors = [make_vectors(60, seed=n) for n in range(2)]
    for number, each in enumerate(vectors):
        put_slide(library, number, each)
    collection = open_collection(library)
    query = vectors[1][7]
    counts = count_in_slides(collection, query, 0.3)
    due = {fingerprint(n): int((each @ query >= 0.3).sum()) for n, each in enumerate(vectors)}
    assert {one.slide: one.count for one in counts} == pytest.approx(due, abs=1)  # fp16
    assert counts[0].count >= counts[1].count
    (own,) = (one for one in counts if one.slide == fingerprint(1))
    assert own.best == pytest.approx(1, abs=1e-3)
    assert own.area_mm2 == pytest.approx(own.count * (32 * 0.5 / 1000) ** 2)
    write_counts(counts, ["a", "b"], 0.3, tmp_path / "counts.csv")
    with (tmp_path / "counts.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["similar_tiles"]) for row in rows] == [one.count for one in counts]
    assert rows[0]["tiles"] == "60"
