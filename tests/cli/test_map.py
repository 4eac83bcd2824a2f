"""`medssl map` and `medssl evaluate batch` on a made table of embeddings."""

import csv
import json
import re

import numpy as np
import pytest

from napari_medssl.cli import main
from napari_medssl.index import neighbour_graph
from napari_medssl.io.embedding_table import write_embeddings
from napari_medssl.io.name_table import read_name_table


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    values = (rng.normal(size=(60, 8)) + 6 * np.eye(2, 8)[labels]).astype(np.float32)
    names = [f"tile, {number}.png" for number in range(60)]
    write_embeddings(names, values, {"name": "made"}, tmp_path / "tiles.parquet")
    return tmp_path / "tiles.parquet"


def test_a_map_is_written_as_csv_and_parquet(table, tmp_path, capsys):
    from pyarrow import parquet

    as_csv, as_parquet = tmp_path / "map.csv", tmp_path / "map.parquet"
    assert main(["map", str(table), "--out", str(as_csv), "--epochs", "50"]) == 0
    assert "60 pictures written to" in capsys.readouterr().err
    assert main(["map", str(table), "--out", str(as_parquet), "--epochs", "50"]) == 0
    with as_csv.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    columns = ["image", "x", "y", "trustworthiness", "continuity", "torn", "false"]
    assert list(rows[0]) == columns
    assert rows[3]["image"] == "tile, 3.png"
    found = parquet.read_table(as_parquet)
    assert found.column_names == columns
    assert np.allclose([float(row["x"]) for row in rows], found["x"].to_numpy(), atol=1e-4)
    about = json.loads(found.schema.metadata[b"napari-medssl-map"])
    assert about["settings"]["epochs"] == 50
    assert about["settings"]["seed"] == 0
    assert about["by"] == "the table's, of encoder made"


def test_names_in_a_map_are_no_formulas(tmp_path, capsys):
    values = np.eye(6, dtype=np.float32)
    names = ["=1+1.png", *(f"{number}.png" for number in range(5))]
    write_embeddings(names, values, {"name": "made"}, tmp_path / "e.parquet")
    out = tmp_path / "map.csv"
    assert main(["map", str(tmp_path / "e.parquet"), "--out", str(out), "--epochs", "5"]) == 0
    with out.open(newline="", encoding="utf-8") as stream:
        assert next(csv.DictReader(stream))["image"] == "'=1+1.png"
    assert read_name_table(out).names[0] == "=1+1.png"


def test_neighbours_that_were_not_found_are_told(table, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(neighbour_graph, "_EXACT_ROWS", 10)
    monkeypatch.setattr(neighbour_graph, "_MOST_PRODUCTS", 0)
    monkeypatch.setattr(neighbour_graph, "_MOST_COMPARED", 4)
    out = tmp_path / "map.csv"
    assert main(["map", str(table), "--out", str(out), "--epochs", "5"]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert re.search(
        r"Of the nearest neighbours \d\d?\.\d% were found; the map and its trust", told
    )


def test_a_map_of_another_kind_of_file_is_refused(table, tmp_path, capsys):
    assert main(["map", str(table), "--out", str(tmp_path / "map.txt")]) == 2
    assert "is neither .csv nor .parquet" in capsys.readouterr().err


def write_groups(path, group_of, column="group"):
    lines = [f'"tile, {number}.png",{group_of(number)}' for number in range(60)]
    path.write_text("\n".join([f"image,{column}", *lines, ""]))
    return path


def test_groups_that_embeddings_tell_are_scored(table, tmp_path, capsys):
    groups = write_groups(tmp_path / "slides.csv", lambda number: "AB"[number % 2], "slide")
    out = tmp_path / "report.json"
    given = ["evaluate", "batch", "--data", str(table), "--groups", str(groups)]
    assert main([*given, "--column", "slide", "--out", str(out)]) == 0
    report = json.loads(out.read_text())
    assert report["accuracy"] > 0.95
    assert report["chance"] == 0.5
    assert "linear probe, mean recall" in capsys.readouterr().out
    assert main(given) == 2
    assert "has the columns image, slide; due are image and group" in capsys.readouterr().err


def test_pictures_without_a_group_are_told(table, tmp_path, capsys):
    groups = tmp_path / "groups.csv"
    groups.write_text('image,group\n"tile, 0.png",A\n')
    assert main(["evaluate", "batch", "--data", str(table), "--groups", str(groups)]) == 2
    told = capsys.readouterr().err.replace("\n", " ")
    assert "59 of 60 pictures have no row" in told


def test_a_picture_of_two_groups_is_told(table, tmp_path, capsys):
    groups = write_groups(tmp_path / "groups.csv", lambda number: "AB"[number % 2])
    with groups.open("a") as stream:
        stream.write('"tile, 0.png",A\n\n"tile, 0.png",B\n')
    assert main(["evaluate", "batch", "--data", str(table), "--groups", str(groups)]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "gives 'tile, 0.png' two groups, 'A' and 'B'. Leave one row" in told


def test_lines_that_are_cut_short_are_no_groups(table, tmp_path, capsys):
    groups = tmp_path / "groups.csv"
    groups.write_text("group,image\nA\n")
    assert main(["evaluate", "batch", "--data", str(table), "--groups", str(groups)]) == 2
    assert "60 of 60 pictures have no row" in " ".join(capsys.readouterr().err.split())


def test_a_folder_of_files_that_are_no_pictures_is_told_by_the_first(tmp_path, capsys):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_bytes(b"no picture")
    assert main(["map", str(tmp_path / "bad"), "--out", str(tmp_path / "m.csv")]) == 2
    error = capsys.readouterr().err.replace("\n", " ")
    assert "No picture can be read; of 1" in error
    assert "not a picture that we know" in error
