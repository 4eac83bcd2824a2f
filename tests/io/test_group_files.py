"""Groups to tables and back: whole files, names that are told and never dropped in silence."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from pyarrow import parquet

from napari_medssl._errors import UserError
from napari_medssl.io.group_files import match_rows, read_groups, write_groups, write_labels
from napari_medssl.io.table_columns import text_column

NAMES = ("a/1.png", "=cmd.png", "b\udcff.png", "d.png")
GROUPS = ("ring", "", "-x", "ring")
COLUMNS = {
    "folder": text_column(["a", "", "b", "d"]),
    "x": np.array([1, 2, 3, 4]),
    "age": np.array([1.5, np.nan, 3, 4]),
    "sure": np.array([True, False, True, True]),
}
PLACES = np.array([[0, 1], [2, 3], [4.5, -1], [0, 0]], np.float32)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_was_written_is_read_back(tmp_path, suffix):
    path = tmp_path / f"g{suffix}"
    write_groups(path, NAMES, GROUPS, places=PLACES, columns=COLUMNS)
    table = read_groups(path)
    assert table.groups == GROUPS
    assert list(table.columns) == ["x", "y", "folder", "source_x", "age", "sure"]
    assert np.allclose(np.stack([table.columns["x"], table.columns["y"]], 1), PLACES)
    assert list(table.columns["source_x"]) == [1, 2, 3, 4]
    assert np.array_equal(table.columns["age"], [1.5, np.nan, 3, 4], equal_nan=True)
    matched = match_rows(NAMES, table.names, path.name)
    assert list(matched.rows) == list(matched.places) == [0, 1, 2, 3]
    assert matched.unknown == ()


def test_the_first_columns_are_those_that_are_documented(tmp_path):
    path = tmp_path / "g.csv"
    write_groups(path, NAMES, GROUPS, places=PLACES)
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["image", "group", "x", "y"]
    assert rows[2][0] == "'=cmd.png", "no formula for a spreadsheet"
    write_groups(tmp_path / "g.parquet", NAMES, GROUPS)
    assert parquet.read_schema(tmp_path / "g.parquet").names == ["image", "group"]


def test_names_of_columns_are_no_formulas_either(tmp_path):
    write_groups(tmp_path / "g.csv", ["a", "b"], ["1", "2"], columns={"=1+1": np.array([3, 4])})
    first = (tmp_path / "g.csv").read_text().splitlines()[0]
    assert first == '"image","group","\'=1+1"'
    table = read_groups(tmp_path / "g.csv")
    assert table.columns["=1+1"].tolist() == [3, 4]
    assert table.groups == ("1", "2")


def test_a_file_that_cannot_be_written_is_told_and_the_former_one_stays(tmp_path, monkeypatch):
    path = tmp_path / "g.parquet"
    write_groups(path, NAMES, GROUPS)
    before = path.read_bytes()
    monkeypatch.setattr(parquet, "write_table", lambda *_, **__: (_ for _ in ()).throw(OSError(28)))
    with pytest.raises(UserError, match="Cannot write"):
        write_groups(path, NAMES[:2], GROUPS[:2])
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["g.parquet"]
    with pytest.raises(UserError, match=r"'g\.txt' ends in '\.txt'. Give a name that ends in .csv"):
        write_groups(tmp_path / "g.txt", NAMES, GROUPS)
    with pytest.raises(ValueError, match="columns of other lengths"):
        write_groups(path, NAMES, GROUPS[:2])


def test_labels_for_training_are_the_rows_in_a_group(tmp_path):
    path = tmp_path / "tiles.csv"
    assert write_labels(path, NAMES, GROUPS, ["s", "s", "t", "t"]) == 3
    lines = path.read_text("utf-8").splitlines()
    assert lines == ["image,class,slide_id", "a/1.png,ring,s", r"b\udcff.png,-x,t", "d.png,ring,t"]
    assert write_labels(path, NAMES, GROUPS) == 3
    assert path.read_text("utf-8").splitlines()[0] == "image,class"
    with pytest.raises(UserError, match="No row is in a group"):
        write_labels(path, NAMES, ["", "", "", ""])


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("image,cluster,confidence\na,0,0.5\nb,12,0.7\n", ("cluster 0", "cluster 12")),
        ("file;Label\na;ring\nb;None\n", ("ring", "")),
        ("image,class,group\na,x,g\nb,x,\n", ("g", "")),
        ("name,cluster\na,-1\nb,\n", ("", "")),
        ("image,class\na,3\nb,1234567890123456\n", ("3", "1234567890123456")),
        ("image,group\na,1.5\nb,\n", ("1.5", "")),
    ],
)
def test_tables_of_others_are_read(tmp_path, text, groups):
    (tmp_path / "t.csv").write_text(text)
    assert read_groups(tmp_path / "t.csv").groups == groups


def test_a_table_without_groups_is_told(tmp_path):
    (tmp_path / "t.csv").write_text("image,age\na,3\n")
    with pytest.raises(UserError, match=r"has no column of groups; due is one .* It has age"):
        read_groups(tmp_path / "t.csv")


def test_names_that_are_not_there_are_told():
    matched = match_rows(["a", "b", "c"], ["c", "x", "a", "y"], "t.csv")
    assert list(matched.rows) == [2, 0]
    assert list(matched.places) == [0, 2]
    assert matched.unknown == ("x", "y")
    with pytest.raises(UserError, match=r"'t\.csv' names 'a' 2 times"):
        match_rows(["a", "b"], ["a", "b", "a"], "t.csv")
    with pytest.raises(UserError, match="None of the 2 names of 't' is a picture of this map"):
        match_rows(["a", "b"], ["x", "y"], "t")
    with pytest.raises(UserError, match="None of the 0 names"):
        match_rows([], [], "t")
