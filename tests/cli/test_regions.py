"""`medssl regions` counts, draws and says what was left out."""

from __future__ import annotations

import json

from napari_medssl.cli import main

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [64, 0], [64, 64], [0, 64], [0, 0]]]}


def write(folder, *geometries):
    features = [{"type": "Feature", "geometry": g, "properties": {"classification": {"name": "T"}}}
                for g in geometries]  # fmt: skip
    path = folder / "in.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return str(path)


def test_table_is_written_and_told(tmp_path, capsys):
    out = tmp_path / "o.csv"
    assert (
        main(["regions", write(tmp_path, SQUARE), "--to", "csv", "--out", str(out), "--mpp", "0.5"])
        == 0
    )
    assert out.read_text() == "class,count,area_px,area_mm2\nT,1,4096,0.001024\n"
    assert "T: 1 regions, 4096 px², 0.001024 mm²" in capsys.readouterr().out


def test_mask_and_legend_are_written(tmp_path, capsys):
    out = tmp_path / "m.png"
    assert main(["regions", write(tmp_path, SQUARE), "--to", "mask", "--out", str(out)]) == 0
    assert out.exists()
    assert json.loads((tmp_path / "m.json").read_text())["classes"][0]["name"] == "T"
    assert "m.json" in capsys.readouterr().out


def test_broken_features_give_exit_code_1_and_the_rest_is_written(tmp_path, capsys):
    source = write(tmp_path, SQUARE, None)
    out = tmp_path / "o.geojson"
    assert main(["regions", source, "--to", "geojson", "--out", str(out)]) == 1
    assert capsys.readouterr().err == "error: in.geojson: feature 2 skipped: no geometry\n"
    assert len(json.loads(out.read_text())["features"]) == 1


def test_file_that_cannot_be_read_gives_exit_code_2_and_one_line(tmp_path, capsys):
    (tmp_path / "bad.geojson").write_text("{")
    out = tmp_path / "o.csv"
    assert main(["regions", str(tmp_path / "bad.geojson"), "--to", "csv", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "not sound JSON" in error
    assert not out.exists()


def test_missing_choice_gives_exit_code_2(tmp_path, capsys):
    assert main(["regions", write(tmp_path, SQUARE), "--out", str(tmp_path / "o")]) == 2
    assert "--to" in capsys.readouterr().err
