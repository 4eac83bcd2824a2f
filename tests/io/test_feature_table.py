"""Files of features of other tools: what they hold is read, what they only claim is refused."""

from __future__ import annotations

import h5py
import numpy as np
import pyarrow as arrow
import pytest
from numpy.lib import format as npy
from pyarrow import parquet

from napari_medssl._errors import UserError
from napari_medssl.io.embedding_table import read_embeddings, write_embeddings
from napari_medssl.io.feature_table import is_feature_file, read_array, read_features
from napari_medssl.io.name_table import read_name_table

FEATURES = np.arange(12, dtype=np.float32).reshape(4, 3) + 1
CSV = "image,class,age\na.png,ring,4\nb/c.png,stripes,\nd.png,ring,7.5\ne.png,,1\n"


def array(tmp_path, values=FEATURES, text=CSV, name="f.npy"):
    np.save(tmp_path / name, values)
    if text is not None:
        (tmp_path / name).with_suffix(".csv").write_text(text, encoding="utf-8")
    return tmp_path / name


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "i2", "u1"])
def test_an_array_and_the_table_beside_it(tmp_path, dtype):
    table = read_features(array(tmp_path, np.asfortranarray(FEATURES.astype(dtype))))
    assert table.names == ("a.png", "b/c.png", "d.png", "e.png")
    assert table.features.dtype == np.float32
    assert table.features.flags.c_contiguous
    assert (table.features == FEATURES).all()
    assert list(table.columns["class"]) == ["ring", "stripes", "ring", ""]
    assert np.array_equal(table.columns["age"], [4, np.nan, 7.5, 1], equal_nan=True)


def test_the_table_may_be_given_in_place_of_the_array(tmp_path):
    path = array(tmp_path)
    assert is_feature_file(path)
    assert is_feature_file(path.with_suffix(".csv"))
    assert read_features(path.with_suffix(".csv")).names == read_features(path).names
    (tmp_path / "other.csv").write_text("image\na\n")
    assert not is_feature_file(tmp_path / "other.csv")


@pytest.mark.parametrize(
    ("values", "text", "message"),
    [
        (FEATURES, None, "no table beside it that names its rows. Put 'f.csv' there"),
        (FEATURES, "image\na\nb\n", "'f.csv' has 2 rows for the 4 of 'f.npy'"),
        (FEATURES, "", "'f.csv' is empty"),
        (FEATURES, "image,image\n" + "a,b\n" * 4, "several columns 'image'"),
        (
            FEATURES,
            "image,x\na,1\nb\n",
            "'f.csv' cannot be read: CSV parse error: Row #3: Expected 2 columns, got 1: b",
        ),
        (FEATURES[0], CSV, r"'f.npy' is float32 \(3,\); due are rows of numbers"),
        (FEATURES[:, :0], CSV, r"is float32 \(4, 0\)"),
        (FEATURES > 3, CSV, r"is bool \(4, 3\)"),
        (FEATURES.astype("c8"), CSV, r"is complex64"),
        (np.array([["a", "b"]]), CSV, r"is <U1 \(1, 2\)"),
    ],
)
def test_parts_that_do_not_fit_get_their_line(tmp_path, values, text, message):
    with pytest.raises(UserError, match=message) as told:
        read_features(array(tmp_path, values, text))
    assert "\n" not in str(told.value)


def test_pickled_objects_are_refused_and_never_loaded(tmp_path):
    path = tmp_path / "f.npy"

    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("it was loaded",))

    values = np.empty((4, 3), object)
    values[:] = Bomb()
    np.save(path, values, allow_pickle=True)
    with pytest.raises(UserError, match="pickled Python objects, which can run code"):
        read_array(path)
    kind = np.dtype([("a", object)])
    np.save(path, np.zeros((4, 3), kind), allow_pickle=True)
    with pytest.raises(UserError, match="pickled Python objects"):
        read_array(path)


def test_an_array_that_claims_more_than_it_has_is_refused(tmp_path):
    path = tmp_path / "f.npy"
    for shape in ((10**12, 512), (4, 4), (2**62, 8), (-5, 3)):
        with path.open("wb") as stream:
            head = {"descr": "<f4", "fortran_order": False, "shape": shape}
            npy.write_array_header_2_0(stream, head)
            stream.write(FEATURES.tobytes())
        with pytest.raises(UserError, match="It is damaged"):
            read_array(path)


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00{'descr': 1}   \n", b"PK\x03\x04 no"]
)
def test_what_is_no_array_is_told(tmp_path, content):
    (tmp_path / "f.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"as an array: it is damaged or no .npy file"):
        read_array(tmp_path / "f.npy")
    with pytest.raises(UserError, match="there is no such file"):
        read_array(tmp_path / "g.npy")


def test_tiles_of_other_tools_have_names_and_places(tmp_path):
    with h5py.File(tmp_path / "S1.h5", "w") as file:
        file["coords"] = np.array([[0, 0], [512, 0], [0, 1024]])
        file["coords"].attrs["patch_size_level0"] = 512
        file["features"] = FEATURES[:3]
    table = read_features(tmp_path / "S1.h5")
    assert table.names == ("S1#0,0", "S1#512,0", "S1#0,1024")
    assert {name: list(column) for name, column in table.columns.items()} == {
        "slide": ["S1"] * 3, "x": [0, 512, 0], "y": [0, 0, 1024], "size": [512] * 3,
    }  # fmt: skip


def test_places_without_features_are_told(tmp_path):
    with h5py.File(tmp_path / "S1.h5", "w") as file:
        file["coords"] = np.zeros((3, 2), int)
    with pytest.raises(UserError, match="holds places of tiles but no features"):
        read_features(tmp_path / "S1.h5")


def test_a_table_of_embeddings_keeps_the_columns_that_were_added(tmp_path):
    path = tmp_path / "t.parquet"
    write_embeddings(["a.png", "b.png"], FEATURES[:2], {"name": "some"}, path)
    table = parquet.read_table(path).append_column("class", arrow.array(["x", None]))
    parquet.write_table(table, path)
    assert read_embeddings(path)[0] == ["a.png", "b.png"]
    found = read_features(path)
    assert found.by == "the table's, of encoder some"
    assert {name: list(column) for name, column in found.columns.items()} == {"class": ["x", ""]}


def test_columns_of_every_kind(tmp_path):
    path = tmp_path / "t.parquet"
    table = arrow.table(
        {
            "number": arrow.array([1, None, 3]),
            "whole": arrow.array([1, 2, 3], arrow.int16()),
            "sure": arrow.array([True, False, True]),
            "kind": arrow.array(["a", "b", "a"]).dictionary_encode(),
            "Image": ["x.png", "y.png", "z.png"],
            "day": arrow.array([0, 1, 2], arrow.date32()),
            "many": [[1], [2], [3]],
            "raw": arrow.array([b"a", b"b", b"c"]),
        }
    )
    parquet.write_table(table, path)
    found = read_name_table(path)
    assert found.names == ("x.png", "y.png", "z.png")
    assert sorted(found.left_out) == ["many", "raw"]
    kinds = {name: column.dtype.kind for name, column in found.columns.items()}
    assert kinds == {"number": "f", "whole": "i", "sure": "b", "kind": "O", "day": "O"}
    assert found.columns["day"][0] == "1970-01-01"


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "-2", "30"], "i"),
        (["1", "", "3"], "f"),
        (["1.5", "2e3", ".5", "nan"], "f"),
        (["001", "002"], "O"),
        (["1_000", "2"], "O"),
        (["1", "x"], "O"),
        (["", ""], "O"),
        (["9" * 20, "1"], "f"),
        ([".", "e5"], "O"),
    ],
)
def test_texts_become_numbers_where_all_are(tmp_path, texts, kind):
    path = tmp_path / "t.csv"
    rows = "".join(f"{n}.png;{text}\n" for n, text in enumerate(texts))
    path.write_text(f"\ufeffname;value\n{rows}", encoding="utf-8")
    assert read_name_table(path).columns["value"].dtype.kind == kind


def test_a_column_without_a_name_is_no_column(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(',path,\n0,"a, b.png",\n1,"two\nlines.png",\n')
    table = read_name_table(path)
    assert table.names == ("a, b.png", "two\nlines.png")
    assert table.columns == {}


def test_damaged_tables_are_told(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"image,x\n\xff\xfe,1\n")
    with pytest.raises(UserError, match=r"The table 't.csv' cannot be read"):
        read_name_table(tmp_path / "t.csv")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match=r"Cannot read 't.parquet' as a table"):
        read_name_table(tmp_path / "t.parquet")
    with pytest.raises(UserError, match="there is no such file"):
        read_name_table(tmp_path / "u.csv")
    parquet.write_table(arrow.table({"many": [[1]]}), tmp_path / "t.parquet")
    with pytest.raises(UserError, match="has no column of names"):
        read_name_table(tmp_path / "t.parquet")
