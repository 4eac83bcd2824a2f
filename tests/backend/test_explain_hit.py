"""Why two tiles are alike: patches of a picture found again where it was shifted to."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from napari_medssl._errors import UserError
from napari_medssl.backend.encoders import make_encoder
from napari_medssl.backend.explain_hit import explain_tiles
from napari_medssl.backend.local_maps import local_embeddings
from napari_medssl.cli import main

SHIFT = (32, 64)  # pixels that the hit sees further down and further right


@pytest.fixture(scope="module")
def tissue():
    """A picture of real tissue, and the same shifted."""
    picture = data.immunohistochemistry()
    down, right = SHIFT
    return picture[40:264, 40:264], picture[40 + down : 264 + down, 40 + right : 264 + right]


@pytest.mark.parametrize(("name", "patch"), [("siamese-tissue", 16), ("imagenet", 32)])
def test_patches_of_a_shifted_copy_are_displaced_by_the_shift(tissue, name, patch):
    made = explain_tiles(make_encoder(name, "cpu"), tissue, count=6)
    assert made.grid == (224 // patch, 224 // patch)
    assert len(made.matches) >= 3
    moved = np.array([np.subtract(one.query, one.hit) * patch for one in made.matches])
    is_true = (np.abs(moved - SHIFT) <= patch).all(axis=1)
    assert is_true.mean() >= 0.75
    assert (np.median(moved, axis=0) == SHIFT).all()


@pytest.mark.parametrize("name", ["siamese-tissue", "imagenet"])
def test_local_embeddings_mean_the_embedding(tissue, name):
    encoder = make_encoder(name, "cpu")
    local, whole = local_embeddings(encoder, np.stack(tissue)), encoder.embed(np.stack(tissue))
    mean = local.mean(axis=(1, 2))
    assert np.allclose(mean / np.linalg.norm(mean, axis=1, keepdims=True), whole, atol=1e-4)
    made = explain_tiles(encoder, tissue)
    assert made.similarity == pytest.approx(float(whole[0] @ whole[1]), abs=1e-4)


def test_an_encoder_without_maps_says_so(tissue):
    with pytest.raises(UserError, match=r"'histogram' gives no maps of a tile"):
        explain_tiles(make_encoder("histogram"), tissue)


def test_two_pictures_are_explained_from_the_command_line(tissue, tmp_path, capsys):
    for name, tile in zip("ab", tissue, strict=True):
        Image.fromarray(tile).save(tmp_path / f"{name}.png")
    words = ["why", "--query", str(tmp_path / "a.png"), "--hit", str(tmp_path / "b.png")]
    assert main([*words, "--count", "4", "--out", str(tmp_path / "why.json")]) == 0
    assert "pairs of patches, 18% of the tile, bring" in capsys.readouterr().err
    found = json.loads((tmp_path / "why.json").read_bytes())
    assert found["pixels"] == 224
    assert len(found["matches"]) == 4
    for match in found["matches"]:
        assert np.subtract(match["query"], match["hit"])[:2].tolist() == [SHIFT[1], SHIFT[0]]
    assert main([*words, "--out", str(tmp_path / "why.png")]) == 0
    with Image.open(tmp_path / "why.png") as picture:
        assert picture.width > 2 * 448
    assert main([*words, "--out", str(tmp_path / "why.tif")]) == 2
    assert "ends in .png or .json" in capsys.readouterr().err
    assert main([*words[:3], "--out", str(tmp_path / "why.png")]) == 2
    assert "Give either --hits" in capsys.readouterr().err


def test_a_hit_of_a_search_is_explained(tmp_path, capsys):
    picture, out = data.immunohistochemistry()[:448, :448], tmp_path / "why.json"
    slide, hits = str(tmp_path / "slide.tif"), str(tmp_path / "hits.json")
    tifffile.imwrite(
        slide, picture, tile=(128, 128), resolution=(20_000, 20_000), resolutionunit="CENTIMETER"
    )
    library = ["--library", str(tmp_path / "library")]
    words = ["index", slide, *library, "--encoder", "imagenet", "--min-tissue", "0"]
    assert main([*words, "--device", "cpu"]) == 0
    assert main(["search", *library, "--slide", slide, "--at", "100,100", "--out", hits]) == 0
    assert json.loads((tmp_path / "hits.json").read_bytes())["query"]["tile"] == [0, 0, 224]
    first = json.loads((tmp_path / "hits.json").read_bytes())["hits"][0]
    assert main(["why", "--hits", hits, "--out", str(out)]) == 0
    found = json.loads(out.read_bytes())
    assert found["similarity"] == pytest.approx(first["similarity"], abs=2e-3)
    assert found["matches"]
    for words, text in (
        (("--rank", "9"), "--rank is 9, but 'hits.json' holds 3 hits"),
        (("--encoder", "untrained"), "other weights"),
    ):
        assert main(["why", "--hits", hits, *words, "--out", str(out)]) == 2
        assert text in capsys.readouterr().err
    document = json.loads((tmp_path / "hits.json").read_bytes())
    endless = document["hits"][0] | {"size": float("inf")}
    for change in ({"query": None}, {"hits": [5]}, {"hits": [endless]}):
        (tmp_path / "hits.json").write_text(json.dumps(document | change))
        assert main(["why", "--hits", hits, "--out", str(out)]) == 2
        assert "does not say what was searched for" in capsys.readouterr().err
    (tmp_path / "hits.json").write_text("[]")
    assert main(["why", "--hits", hits, "--out", str(out)]) == 2
    assert "holds no hits" in capsys.readouterr().err
