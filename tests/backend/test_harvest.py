"""Harvest: what is cropped, left out and written, and that a kill costs nothing."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.harvest import HarvestConfig, harvest
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.licences import read_licences
from napari_medssl.cli import main
from napari_medssl.io.boxes import Box

SPLIT = HarvestConfig(model="gutters", kind="all")


def photo(seed, size=100):
    """A smooth random picture: all grey levels, no two alike."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (8, 8, 3)).astype(np.uint8))
    smooth = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)).astype(int)
    return np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 240).astype(np.uint8)


def plot(seed, size=100):
    """Ink on paper: axes and bars."""
    rng = np.random.default_rng(seed)
    image = np.full((size, size, 3), 255, np.uint8)
    image[:, :2] = image[-2:] = 0
    for x in range(10, size - 10, 14):
        image[size - int(rng.integers(20, size - 5)) :, x : x + 6] = (200, 30, 30)
    return image


def figure(panels, gap=16):
    """Panels side by side on white."""
    height = max(panel.shape[0] for panel in panels)
    width = sum(panel.shape[1] for panel in panels)
    canvas = np.full((height + 2 * gap, width + gap * (len(panels) + 1), 3), 255, np.uint8)
    x = gap
    for panel in panels:
        canvas[gap : gap + panel.shape[0], x : x + panel.shape[1]] = panel
        x += panel.shape[1] + gap
    return canvas


def save(folder, name, panels):
    folder.mkdir(exist_ok=True)
    Image.fromarray(figure(panels)).save(folder / name)


def rows(out):
    with (out / "manifest.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def figures(tmp_path):
    folder = tmp_path / "figures"
    save(folder, "one.png", [photo(1), plot(1)])
    save(folder, "two.png", [photo(2), photo(1), photo(3, size=40)])
    return folder


def test_panels_are_cropped_to_the_pixel(figures, tmp_path):
    """A crop holds the pixels of its box in the manifest."""
    out = tmp_path / "out"
    report = harvest([figures], out, SPLIT)
    assert (report.kept, report.by_kind) == (3, {"photo": 2, "plot": 1})
    for row in rows(out):
        x0, y0, x1, y1 = (int(row[name]) for name in ("x0", "y0", "x1", "y1"))
        source = np.asarray(Image.open(row["figure"]))
        crop = np.asarray(Image.open(out / row["file"]))
        np.testing.assert_array_equal(crop, source[y0:y1, x0:x1])
        assert row["file"].startswith(row["kind"])


def test_duplicates_and_small_panels_are_left_out(figures, tmp_path):
    """The picture printed twice comes once; the one under the least size does not come."""
    report = harvest([figures], tmp_path / "out", SPLIT)
    assert (report.duplicates, report.too_small) == (1, 1)


def test_kind_is_kept_apart(figures, tmp_path):
    """With photographs asked for no plot is written, and the report says how many were not."""
    report = harvest([figures], tmp_path / "out", HarvestConfig(model="gutters"))
    assert (report.by_kind, report.other_kind) == ({"photo": 2}, 1)
    assert list((tmp_path / "out" / "plot").iterdir()) == []


def test_bad_files_are_listed_and_the_rest_goes_on(figures, tmp_path):
    """A broken image costs its own panels only."""
    (figures / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    report = harvest([figures], tmp_path / "out", SPLIT)
    assert [Path(name).name for name, _ in report.failures] == ["bad.png"]
    assert report.kept == 3


def test_folder_without_pictures_is_told(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["harvest", str(tmp_path / "empty"), "--out", str(tmp_path / "out")]) == 2
    assert "No picture in" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_second_run_adds_only_what_is_new(figures, tmp_path):
    """Finished figures are passed over, and their panels are still known as duplicates."""
    out = tmp_path / "out"
    harvest([figures], out, SPLIT)
    save(figures, "three.png", [photo(2), photo(4)])
    calls = []

    def split(image, score):
        calls.append(image.shape)
        return [Box(16, 16, 116, 116), Box(132, 16, 232, 116)]

    report = harvest([figures], out, SPLIT, split=split)
    assert len(calls) == 1
    assert (report.resumed, report.kept, report.duplicates) == (2, 4, 2)


def test_stop_leaves_manifest_and_journal_in_order(figures, tmp_path):
    """Stopped after one figure, its panels are in the manifest; the next run does the other."""
    out, asked = tmp_path / "out", iter([False, True])
    with pytest.raises(Cancelled):
        harvest([figures], out, SPLIT, should_stop=lambda: next(asked))
    assert len(rows(out)) == 2
    assert harvest([figures], out, SPLIT).kept == 3


def test_half_a_line_in_the_journal_is_dropped(figures, tmp_path):
    """A kill while a line is written: that figure is done again, nothing is doubled."""
    out = tmp_path / "out"
    harvest([figures], out, SPLIT)
    whole = rows(out)
    journal = out / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    assert harvest([figures], out, SPLIT).resumed == 1
    assert rows(out) == whole


def test_other_settings_are_refused(figures, tmp_path):
    """One folder holds one kind of harvest; the line says what changed."""
    harvest([figures], tmp_path / "out", SPLIT)
    with pytest.raises(UserError, match="kind was 'all', now 'photo'"):
        harvest([figures], tmp_path / "out", HarvestConfig(model="gutters"))


@pytest.mark.parametrize("line", [b"{}\n", b"nonsense\n", b'{"format": "x"}\n', b"[1]\n"])
def test_foreign_journal_is_refused(figures, tmp_path, line):
    """A journal that is not ours gives one readable line."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "journal.jsonl").write_bytes(line)
    with pytest.raises(UserError, match=r"Line 1 of .* is damaged"):
        harvest([figures], tmp_path / "out", SPLIT)


def test_figures_of_one_name_do_not_overwrite_each_other(tmp_path):
    """Two folders may hold a figure of the same name."""
    save(tmp_path / "a", "fig.png", [photo(1), photo(2)])
    save(tmp_path / "b", "fig.png", [photo(3), photo(4)])
    assert harvest([tmp_path / "a", tmp_path / "b"], tmp_path / "out", SPLIT).kept == 4
    assert len(list((tmp_path / "out" / "photo").iterdir())) == 4


def test_licence_comes_from_table_or_coco(figures, tmp_path):
    """The licence of a figure is on each of its panels."""
    table = tmp_path / "licences.csv"
    table.write_text("file_name,licence\nimages/one.png,CC BY 4.0\n")
    config = HarvestConfig(model="gutters", kind="all", licences=table)
    harvest([figures], tmp_path / "out", config)
    assert {row["licence"] for row in rows(tmp_path / "out")} == {"CC BY 4.0", ""}
    coco = tmp_path / "coco.json"
    images = [{"file_name": "one.png", "license": 2}, {"file_name": "two.png", "licence": "CC0"}]
    names = [{"id": 2, "name": "CC BY 3.0"}]
    coco.write_text(json.dumps({"images": images, "licenses": names}))
    assert read_licences(coco) == {"one.png": "CC BY 3.0", "two.png": "CC0"}


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "{", '{"images": [3]}'])
def test_useless_licence_file_is_told(tmp_path, text):
    """A file that names no licence gives one line that says what is due."""
    path = tmp_path / ("l.json" if text.startswith("{") else "l.csv")
    path.write_text(text)
    with pytest.raises(UserError, match="file_name"):
        read_licences(path)


def test_a_panel_that_a_kill_left_half_is_removed(figures, tmp_path):
    """By the same command; a folder that holds no harvest yet keeps what is in it."""
    half = tmp_path / "out" / "photo" / ".writing-x.png"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    harvest([figures], tmp_path / "out", SPLIT)
    assert half.exists()
    harvest([figures], tmp_path / "out", SPLIT)
    assert not half.exists()


def test_killed_harvest_goes_on(tmp_path):
    """kill -9 in the middle, then the same command: as if it had never been killed."""
    folder = tmp_path / "figures"
    for number in range(60):
        save(folder, f"f{number}.png", [photo(3 * number), photo(3 * number + 1)])
    arguments = ["harvest", str(folder), "--model", "gutters", "--kind", "all", "--out"]
    journal = tmp_path / "killed" / "journal.jsonl"
    program = "import sys; from napari_medssl.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, *arguments, str(journal.parent)]
    run = subprocess.Popen(command, env=os.environ)
    deadline = time.monotonic() + 60
    while run.poll() is None and time.monotonic() < deadline:
        if journal.exists() and journal.read_bytes().count(b"\n") > 5:
            break
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    run.wait()
    finished = journal.read_bytes().count(b"\n") - 1
    assert 0 < finished < 60
    assert main([*arguments, str(journal.parent)]) == 0
    assert main([*arguments, str(tmp_path / "whole")]) == 0
    assert rows(journal.parent) == rows(tmp_path / "whole")
    files = sorted(p.name for p in journal.parent.glob("*/*.png"))
    assert files == sorted(Path(row["file"]).name for row in rows(journal.parent))


def test_command_reports_and_sets_the_exit_code(figures, tmp_path, capsys):
    """All done 0; some failed 1 with a line each; nothing done 2."""
    out = str(tmp_path / "out")
    arguments = ["harvest", str(figures), "--out", out, "--model", "gutters"]
    assert main(arguments) == 0
    assert "2 panels kept (2 photos) from 2 figures" in capsys.readouterr().out
    (figures / "bad.png").write_bytes(b"bad")
    assert main(arguments) == 1
    assert "bad.png" in capsys.readouterr().err
    empty = ["harvest", str(tmp_path / "none.png"), "--out", str(tmp_path / "other")]
    assert main([*empty, "--model", "gutters"]) == 2
