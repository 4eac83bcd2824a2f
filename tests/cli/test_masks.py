"""`medssl masks` measures and exports, and says what was left out."""

from __future__ import annotations

import csv

import numpy as np

from napari_medssl.cli import main
from napari_medssl.io.class_files import class_png


def make_masks(folder):
    folder.mkdir()
    for number in range(2):
        mask = np.zeros((10, 20), np.uint8)
        mask[2:4, : 5 + 5 * number] = 1
        (folder / f"eye{number}.png").write_bytes(class_png(mask))
    return folder


def test_masks_are_measured(tmp_path, capsys):
    masks = make_masks(tmp_path / "masks")
    out, summary = tmp_path / "a.csv", tmp_path / "s.csv"
    words = ["masks", "measure", str(masks), "--out", str(out), "--summary", str(summary)]
    assert main([*words, "--pixel-size", "0.1", "--names", "vessel", "--names", "disc"]) == 0
    said = capsys.readouterr()
    assert "2 masks measured, 4 rows written to" in said.out
    assert "vessel: 15 pixels, 0.15 mm² on average, in 2 of 2 images, 2 objects" in said.err
    with out.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["area_px"] for row in rows] == ["10", "0", "20", "0"]
    assert summary.read_text().splitlines()[1].startswith("1,vessel,2,2,15.0,7.071068,2,0.15,")


def test_a_broken_mask_gives_exit_code_1_and_its_name(tmp_path, capsys):
    masks = make_masks(tmp_path / "masks")
    (masks / "eye1.png").write_bytes(b"")
    assert main(["masks", "measure", str(masks), "--out", str(tmp_path / "a.csv")]) == 1
    assert "eye1.png" in capsys.readouterr().err


def test_a_table_never_replaces_a_mask(tmp_path, capsys):
    masks = make_masks(tmp_path / "masks")
    before = (masks / "eye0.png").read_bytes()
    assert main(["masks", "measure", str(masks), "--out", str(masks / "eye0.png")]) == 2
    assert "is an input, which stays as it is" in capsys.readouterr().err
    assert (masks / "eye0.png").read_bytes() == before


def test_masks_are_exported(tmp_path, capsys):
    masks = make_masks(tmp_path / "masks")
    out = tmp_path / "out"
    assert main(["masks", "export", str(masks), "--out", str(out), "--names", "vessel"]) == 0
    assert "2 masks written to" in capsys.readouterr().out
    assert '"name":"vessel"' in (out / "eye1.geojson").read_text()
    assert main(["masks", "export", str(masks), "--out", str(masks), "--format", "png"]) == 2
    assert "would overwrite the mask 'eye0.png'" in capsys.readouterr().err


def test_volumes_are_measured_by_their_slices(tmp_path, capsys):
    import nibabel

    masks = make_masks(tmp_path / "masks")
    heart = nibabel.Nifti1Image(np.ones((5, 4, 3), np.uint8), np.diag([0.5, 0.2, 3, 1]))
    heart.header.set_xyzt_units("mm")
    nibabel.save(heart, masks / "heart.nii.gz")
    table = tmp_path / "volumes.csv"
    words = ["masks", "measure", str(masks), "--out", str(tmp_path / "a.csv")]
    assert main([*words, "--volumes", str(table)]) == 0
    assert "3 masks of 5 slices measured, 5 rows written to" in capsys.readouterr().out
    assert table.read_text().splitlines()[1] == "heart.nii.gz,1,class 1,60,18.0,3,3"
    assert main([*words, "--volumes", str(masks / "heart.nii.gz")]) == 2
    assert "is an input, which stays as it is" in capsys.readouterr().err
    (masks / "heart.nii.gz").unlink()
    assert main([*words, "--volumes", str(table)]) == 0
    assert "no mask is a volume; the table has no rows" in capsys.readouterr().err
