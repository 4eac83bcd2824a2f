"""Retrieval on folders of labelled tiles: sets, slides, scores and what is refused."""

import json

import numpy as np
import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend.encoders import EncoderInfo, make_encoder, unit_length
from napari_medssl.backend.evaluate_retrieval import EvaluateRetrievalConfig, evaluate_retrieval
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.labelled_tiles import read_labelled_tiles, slide_of
from napari_medssl.backend.stain_jitter import jitter_in_lab
from napari_medssl.cli import main

RED, BLUE = (200, 40, 60), (60, 40, 200)


def draw(path, color, seed):
    noise = np.random.default_rng(seed).normal(0, 12, (40, 40, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(noise + color, 0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    """Two classes that colour tells apart, on three slides each, two tiles a slide."""
    for label, color in (("red", RED), ("blue", BLUE)):
        for slide in range(3):
            for tile in range(2):
                draw(tmp_path / "tiles" / label / f"s{slide}_{tile}.png", color, slide * 2 + tile)
    return tmp_path / "tiles"


def with_table(folder, rows, head="image,set,class,slide_id"):
    (folder / "tiles.csv").write_text("\n".join([head, *rows]) + "\n")


def test_a_subfolder_is_a_class_and_the_file_name_tells_the_slide(folder):
    (tiles,) = read_labelled_tiles(folder)
    assert tiles.name == "tiles"
    assert sorted(set(tiles.classes)) == ["blue", "red"]
    assert sorted(set(tiles.slides)) == ["s0", "s1", "s2"]
    assert slide_of(folder / "plain.png") == "plain"


def test_a_table_tells_sets_classes_and_slides(folder):
    with_table(folder, ["red/s0_0.png,one,a,x", "red/s0_1.png,one,b,y", "blue/s0_0.png,two,a,x"])
    one, two = read_labelled_tiles(folder)
    assert (one.name, one.classes, one.slides) == ("one", ("a", "b"), ("x", "y"))
    assert (two.name, len(two.refs)) == ("two", 1)


@pytest.mark.parametrize(
    ("rows", "head", "text"),
    [
        (["a.png,x"], "image,class", "has no column 'slide_id'"),
        (["a.png,x,"], "image,class,slide_id", "Line 2 of 'tiles.csv' lacks one of"),
        (["../../a.png,x,y"], "image,class,slide_id", "outside of its folder"),
        ([], "image,class,slide_id", "holds no labelled tile"),
    ],
)
def test_a_wrong_table_is_told(folder, rows, head, text):
    with_table(folder, rows, head)
    with pytest.raises(UserError, match=text):
        read_labelled_tiles(folder)


def test_what_is_no_folder_is_told(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        read_labelled_tiles(tmp_path / "gone")


def test_colours_are_found_by_their_histogram(folder):
    config = EvaluateRetrievalConfig(folder, ("histogram",))
    (scores,) = evaluate_retrieval(config).encoders
    (one,) = scores.sets
    assert (one.tiles, one.classes, one.slides, one.queries) == (12, 2, 3, 12)
    assert one.by_class["map_10"] == 1.0 == one.by_slide["precision_1"]
    # On the two other slides are 4 of its class among 8.
    assert one.chance["precision_1"] == 0.5
    assert one.chance["hit_1"] == 0.5
    assert scores.mean["map_10"] == 1.0
    assert one.addr == pytest.approx(1.0, abs=0.5)


def test_each_class_has_its_own_scores_and_chance(folder):
    """Three more blue tiles: red is asked for among more others, and macro means weigh both."""
    for tile in range(2, 5):
        draw(folder / "blue" / f"s0_{tile}.png", BLUE, tile)
    report = evaluate_retrieval(EvaluateRetrievalConfig(folder), encoders=(Constant(),))
    (one,) = report.encoders[0].sets
    red, blue = one.each_class["red"], one.each_class["blue"]
    assert (red["queries"], blue["queries"]) == (6, 9)
    # Red of s0 has 4 red among 8 others on s1 and s2; of s1 and s2 there are 4 among 11.
    assert red["chance_precision_1"] == pytest.approx((4 / 8 + 2 * 4 / 11) / 3, abs=1e-6)
    for name in ("map_10", "precision_5", "hit_10"):
        assert one.by_class[name] == pytest.approx((red[name] + blue[name]) / 2, abs=1e-5)
    json.loads(report.to_json())


class Constant:
    """Knows nothing: all its embeddings are the same."""

    info = EncoderInfo("constant", 4, pixels=40)

    def embed(self, tiles):
        return unit_length(np.ones((len(tiles), 4)))


def test_a_slide_of_its_own_is_never_searched(folder):
    """With one slide for each class nothing can be found, whatever the encoder."""
    rows = [f"{c}/s{s}_{t}.png,one,{c},{c}" for c in ("red", "blue") for s in "012" for t in "01"]
    with_table(folder, rows)
    report = evaluate_retrieval(EvaluateRetrievalConfig(folder), encoders=(Constant(),))
    assert report.encoders[0].sets[0].queries == 0
    assert report.encoders[0].mean["map_10"] is None
    json.loads(report.to_json())


def test_the_stain_of_a_query_is_its_own_and_stays(folder):
    tile = np.asarray(Image.open(folder / "red" / "s0_0.png"))
    assert (jitter_in_lab(tile, 1) == jitter_in_lab(tile, 1)).all()
    assert (jitter_in_lab(tile, 1) != jitter_in_lab(tile, 2)).any()
    plain = evaluate_retrieval(EvaluateRetrievalConfig(folder, ("histogram",), jitter=False))
    assert plain.encoders[0].mean_jittered == {}


def test_a_bad_tile_is_told_and_left_out(folder):
    (folder / "red" / "s1_0.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    with_table(folder, [f"red/s{s}_{t}.png,one,red,s{s}" for s in "012" for t in "01"])
    report = evaluate_retrieval(EvaluateRetrievalConfig(folder, ("histogram",)))
    assert report.encoders[0].sets[0].tiles == 5
    assert [name for name, _ in report.failures] == ["s1_0.png"]


def test_stopping_scores_nothing(folder):
    config = EvaluateRetrievalConfig(folder, ("histogram",))
    with pytest.raises(Cancelled, match="Stopped after 12 of 12 tiles; no score is written"):
        evaluate_retrieval(config, should_stop=lambda: True)


def test_an_unknown_set_is_told(folder):
    with pytest.raises(UserError, match="has no set 'lung'"):
        evaluate_retrieval(EvaluateRetrievalConfig(folder, sets=("lung",)))


def test_the_command_prints_a_table_and_writes_the_report(folder, tmp_path, capsys):
    out = tmp_path / "r.json"
    words = ["--encoder", "histogram", "--encoder", "untrained", "--out", str(out)]
    assert main(["evaluate", "retrieval", "--data", str(folder), "--classes", *words]) == 0
    printed = capsys.readouterr().out
    assert "mean of sets" in printed
    assert "chance" in printed
    assert "by slide" in printed
    (row,) = [line for line in printed.splitlines() if "histogram" in line and "red" in line]
    assert "1.000 (0.500)" in row  # precision at 1, and chance
    report = json.loads(out.read_text())
    assert [e["encoder"]["name"] for e in report["encoders"]] == ["histogram", "untrained"]
    inside = folder / "red" / "s0_0.png"
    assert main(["evaluate", "retrieval", "--data", str(folder), "--out", str(inside)]) == 2


@pytest.mark.slow
@pytest.mark.data
def test_the_floors_of_the_real_tiles(data_dir):
    """The histogram scores what was measured when the sets were put together: .53 .73 .73 .51."""
    names = ("osteosarcoma_crop256", "lc25000_lung224", "lc25000_colon_crop256", "nct_crc224")
    config = EvaluateRetrievalConfig(data_dir / "tiles", sets=names, jitter=False)
    (scores,) = evaluate_retrieval(config, encoders=(make_encoder("histogram"),)).encoders
    found = {one.name: one.by_class["map_10"] for one in scores.sets}
    for name, due in zip(names, (0.53, 0.73, 0.73, 0.51), strict=True):
        assert found[name] == pytest.approx(due, abs=0.02), name
    assert scores.mean["map_10"] == pytest.approx(0.63, abs=0.01)


def test_a_stain_brings_tiles_together_and_the_map_gets_a_number(folder, capsys, monkeypatch):
    # UMAP compiles itself for up to a minute; its map is not what is tested.
    monkeypatch.setattr(
        "napari_medssl.backend.evaluate_retrieval.umap_places",
        lambda embeddings, seed: np.stack([embeddings[:, :256].sum(1), embeddings.sum(1)], 1),
    )
    words = ["evaluate", "retrieval", "--data", str(folder), "--encoder", "histogram"]
    assert main([*words, "--stain", "he", "--map"]) == 0
    out = capsys.readouterr().out
    assert "Tightness on a UMAP" in out
    config = EvaluateRetrievalConfig(data=folder, encoder=("histogram",), map=True, jitter=False)
    (scores,) = evaluate_retrieval(config).encoders
    found = scores.sets[0].map_tightness
    assert sorted(found) == ["blue", "red"]
    assert all(value < 0.7 for value in found.values())
