"""Training the tile encoder: what it learns from, resuming, and what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from napari_medssl._errors import UserError
from napari_medssl.backend.encoders import make_encoder
from napari_medssl.backend.jobs import Cancelled, ignore, never
from napari_medssl.backend.models import load_card
from napari_medssl.backend.parallel import Group
from napari_medssl.backend.siamese_config import TrainSiameseConfig, check_trainable
from napari_medssl.backend.siamese_fit import Fit
from napari_medssl.backend.siamese_objectives import _place, left_out
from napari_medssl.backend.siamese_tiles import (
    TileRequest,
    TrainingTiles,
    list_sources,
    load_tiles,
)
from napari_medssl.backend.train_siamese import train_siamese
from napari_medssl.cli import main
from napari_medssl.methods.siamese.network import NetworkConfig, SiameseNetwork
from napari_medssl.methods.siamese.trunk import normalise_pixels


def picture(seed, side=256):
    rng = np.random.default_rng(seed)
    grain = np.repeat(np.repeat(rng.random((side // 8, side // 8)), 8, 0), 8, 1)
    return (240 * np.exp(-grain[..., None] * (0.3, 1.0, 0.4))).astype(np.uint8)


@pytest.fixture
def slides(tmp_path):
    """Two slides of 2 mm with tiles of half a millimetre, in a list."""
    for number in range(2):
        Image.fromarray(picture(number)).save(tmp_path / f"s{number}.png")
    (tmp_path / "slides.txt").write_text("# tissue\ns0.png\n\ns1.png\n")
    return tmp_path / "slides.txt"


def config_of(slides, out, **changes):
    settings = {"steps": 4, "batch": 4, "dim": 8, "mpp": 8.0, "size": 64, "slide_mpp": 8.0}
    settings |= {"near": 0.6, "far": 1.2, "device": "cpu", "checkpoint_every": 2}
    return TrainSiameseConfig(slides=slides, out=out, **(settings | changes))


def test_tiles_of_slides_know_their_places(slides):
    request = TileRequest(64, 8.0, 10, "", 8.0, seed=1)
    tiles = load_tiles(list_sources(slides), request)
    assert tiles.pixels.shape == (20, 64, 64, 3)
    assert np.bincount(tiles.slides).tolist() == [10, 10]
    step = 64 * 8 / 1000
    assert np.allclose(tiles.places_mm / step % 1, 0.5)


def test_a_slide_that_says_its_resolution_keeps_it(data_dir):
    slide = data_dir / "slides" / "CMU-1-Small-Region.svs"  # 0.499 um/px
    tiles = load_tiles((slide,), TileRequest(224, 0.998, 4, "", 8.0, seed=1))
    assert len(tiles.pixels) == 4
    assert np.nanmax(tiles.places_mm) < 2967 * 0.0005


def test_a_labelled_folder_gives_tiles_without_places(tmp_path, slides):
    (tmp_path / "t").mkdir()
    rows = ["image,class,slide_id"]
    for number in range(3):
        Image.fromarray(picture(number, 80)).save(tmp_path / "t" / f"{number}.png")
        rows.append(f"{number}.png,a,slide{number // 2}")
    (tmp_path / "t" / "tiles.csv").write_text("\n".join(rows))
    (tmp_path / "both.txt").write_text("t\ns0.png\n")
    tiles = load_tiles(list_sources(tmp_path / "both.txt"), TileRequest(64, 8.0, 4, "he", 8.0, 1))
    assert tiles.slides.tolist() == [0, 0, 1, 2, 2, 2, 2]
    other = TileRequest(64, 8.0, 4, "", 8.0, 1, sets=("other",))
    assert len(load_tiles(list_sources(tmp_path / "both.txt"), other).pixels) == 4
    assert np.isnan(tiles.places_mm).all(axis=1).tolist() == [True] * 3 + [False] * 4


def test_an_encoder_is_trained_written_and_used(slides, tmp_path):
    out = tmp_path / "mine.safetensors"
    seen = []
    card = train_siamese(config_of(slides, out, trunk_rate=1e-4), on_progress=seen.append)
    assert card == load_card(out)
    assert (card.task, card.metrics["tiles"]) == ("encoder", 32)
    assert all(np.isfinite(p.values["loss"]) for p in seen if p.values)
    assert not list(tmp_path.glob("*.checkpoint.*"))
    encoder = make_encoder(str(out), "cpu")
    came = encoder.embed(picture(3, 64)[None])
    assert came.shape == (1, 8)
    assert np.linalg.norm(came) == pytest.approx(1, abs=1e-5)
    assert str(tmp_path) not in out.with_suffix(".json").read_text()


def test_without_steps_the_closed_form_is_the_encoder(slides, tmp_path):
    out = tmp_path / "mine.safetensors"
    seen = []
    card = train_siamese(config_of(slides, out, steps=0), on_progress=seen.append)
    assert card.recipe.steps == 0
    # 32 tiles, three changes of each, and a neighbour for every tile that has one.
    fitted = [p for p in seen if p.message == "fitting the head"]
    assert 128 < fitted[-1].total <= 160
    assert fitted[-1].done == fitted[-1].total
    encoder = make_encoder(str(out), "cpu")
    tile = picture(0, 64)
    turned, other = np.rot90(tile), picture(9, 64)
    came = encoder.embed(np.stack([tile, turned, other]))
    assert came[0] @ came[1] > came[0] @ came[2]


def test_the_fit_stops_within_one_batch(slides, tmp_path):
    seen = []
    with pytest.raises(Cancelled, match="Stopped before the first step"):
        train_siamese(
            config_of(slides, tmp_path / "m.safetensors"),
            on_progress=seen.append,
            should_stop=lambda: any(p.message == "fitting the head" for p in seen),
        )
    assert sum(p.message == "fitting the head" for p in seen) == 1
    assert not list(tmp_path.glob("m.*"))


def test_tiles_that_are_all_alike_are_told(tmp_path):
    for number in range(2):
        Image.fromarray(np.full((256, 256, 3), (150, 60, 140), np.uint8)).save(
            tmp_path / f"s{number}.png"
        )
    (tmp_path / "slides.txt").write_text("s0.png\ns1.png\n")
    config = config_of(tmp_path / "slides.txt", tmp_path / "m.safetensors", dim=4)
    with pytest.raises(UserError, match=r"All tiles are alike|cannot be trained on"):
        train_siamese(config)


@pytest.mark.parametrize("trunk_rate", [0.0, 1e-4])
def test_a_resumed_run_equals_an_unbroken_one(slides, tmp_path, trunk_rate):
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    # Nine steps of four pairs are more than one pass over the 32 tiles.
    settings = {"steps": 9, "trunk_rate": trunk_rate}
    train_siamese(config_of(slides, whole, **settings))
    asked = iter([False] * 6 + [True] * 99)
    steps = []

    def stop():
        return bool(steps) and next(asked)

    with pytest.raises(Cancelled, match="with --resume goes on from it"):
        train_siamese(
            config_of(slides, broken, **settings),
            on_progress=lambda p: p.values and steps.append(p),
            should_stop=stop,
        )
    assert 0 < len(steps) < 9
    train_siamese(config_of(slides, broken, resume=True, **settings))
    one, other = load_file(whole), load_file(broken)
    assert all((one[name] == other[name]).all() for name in one)


def test_a_frozen_trunk_stays(slides, tmp_path):
    from napari_medssl.backend.models import find_weights

    out = tmp_path / "mine.safetensors"
    train_siamese(config_of(slides, out))
    trunk, trained = load_file(find_weights("efficientnet-lite0-imagenet")), load_file(out)
    shared = [name for name in trained if name in trunk]
    assert len(shared) > 100
    assert all((trunk[name] == trained[name]).all() for name in shared)


def test_several_processes_are_stopped_and_resumed_like_one(slides, tmp_path):
    """Two processes, stopped, and one that goes on, give the weights of one unbroken run."""
    whole, shared = tmp_path / "whole.safetensors", tmp_path / "shared.safetensors"
    train_siamese(config_of(slides, whole))
    steps = []
    with pytest.raises(Cancelled, match="with --resume goes on from it"):
        train_siamese(
            config_of(slides, shared, devices=2),
            on_progress=lambda p: p.values and steps.append(p),
            should_stop=lambda: len(steps) > 0,
        )
    assert 0 < len(steps) < 4
    assert shared.with_suffix(".checkpoint.safetensors").is_file()
    train_siamese(config_of(slides, shared, resume=True))
    one, other = load_file(whole), load_file(shared)
    assert all(np.allclose(one[name], other[name], atol=1e-3) for name in one)
    assert not list(tmp_path.glob("*.checkpoint.*"))


def test_tiles_that_a_group_cannot_share_out_are_told():
    """Of fewer tiles than a batch, each of two processes takes as many."""
    pair = [Group(rank, 2) for rank in (0, 1)]
    assert left_out(7, 8, pair[0]) == left_out(7, 7, pair[0]) == 1
    assert left_out(7, 8, Group()) == left_out(8, 8, pair[0]) == left_out(100, 8, pair[0]) == 0
    for step in range(3):
        (number, places), other = (_place(step, 7, 8, one) for one in pair)
        assert number == step
        assert places.tolist() == other[1].tolist() == list(range(6))
        taken = np.stack([one.part(len(places)) for one in pair])
        assert (taken.sum(axis=0) == 1).all()
        assert (taken.sum(axis=1) == 3).all()


def test_a_full_disk_is_told_before_processes_start(slides, tmp_path, monkeypatch):
    def fill(path, pixels):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", fill)
    with pytest.raises(UserError, match=r"No space left on device\. Set TMPDIR to a larger disk"):
        train_siamese(config_of(slides, tmp_path / "m.safetensors", devices=2))


def test_instance_discrimination_starts_from_a_random_head_and_is_resumed(slides, tmp_path):
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    settings = {"objective": "npid", "steps": 10}
    card = train_siamese(config_of(slides, whole, **settings))
    assert "each tile from all others" in card.description
    assert card.recipe.config["remarks"] == []  # no pairs, no distances
    steps = []
    with pytest.raises(Cancelled):
        train_siamese(
            config_of(slides, broken, **settings),
            on_progress=lambda p: p.values and steps.append(p),
            should_stop=lambda: len(steps) > 4,
        )
    train_siamese(config_of(slides, broken, resume=True, **settings))
    one, other = load_file(whole), load_file(broken)
    assert all((one[name] == other[name]).all() for name in one)
    assert "memory" not in one


def test_a_trunk_from_scratch_has_its_normalisation_fitted(slides, tmp_path):
    out = tmp_path / "mine.safetensors"
    train_siamese(config_of(slides, out, steps=0, start="scratch", trunk_rate=1e-3))
    weights = load_file(out)
    variances = [v for name, v in weights.items() if name.endswith("running_var")]
    assert not any((v == 1).all() for v in variances)
    assert load_card(out).licence == "BSD-3-Clause"
    tiles = np.stack([picture(seed, 64) for seed in range(3)])
    came = make_encoder(str(out), "cpu").embed(tiles)
    assert (came @ came.T)[np.triu_indices(3, 1)].max() < 0.99


def test_the_normalisation_is_that_of_all_slides_together(slides, tmp_path):
    """Tiles come slide by slide, one dark and one pale: batches of one slide would not do."""
    dark, pale = ([picture(seed, 64) // share for seed in range(48)] for share in (4, 1))
    slide = np.repeat([0, 1], 48)
    tiles = TrainingTiles(np.stack(dark + pale), slide, np.full((96, 2), np.nan))
    network = SiameseNetwork(NetworkConfig(8, (3,))).eval()
    config = config_of(slides, tmp_path / "m.safetensors")
    Fit(network, tiles, config, on_progress=ignore, should_stop=never).normalisation()
    pixels = torch.from_numpy(tiles.pixels).permute(0, 3, 1, 2)
    with torch.no_grad():
        maps = network.stem[:2](normalise_pixels(pixels))
    assert not network.training
    assert maps.mean(dim=(0, 2, 3)).abs().max() < 0.05
    assert maps.var(dim=(0, 2, 3)).max() < 1.2


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"objective": "npid", "steps": 0}, "--objective npid has no closed form. Give --steps"),
        ({"devices": 3}, "--batch 4 cannot be shared out evenly to --devices 3"),
        ({"devices": 2, "device": "auto"}, "--devices 2 wants as many NVIDIA GPUs; this machine"),
        ({"near": 2.0, "far": 1.0}, "--near 2 mm is due to be less than --far 1"),
        ({"out": "a.pt"}, "must end in .safetensors"),
        ({"start": "scratch"}, "--start scratch needs a --trunk-rate"),
        ({"resume": True}, "There is no checkpoint"),
        ({"slides": "gone"}, "There is no slide, folder or list 'gone'"),
    ],
)
def test_what_cannot_be_trained_is_told_at_once(slides, tmp_path, changes, text):
    from pathlib import Path

    paths = {k: Path(v) for k, v in changes.items() if k in ("out", "slides")}
    settings = {"slides": slides, "out": tmp_path / "m.safetensors"} | changes | paths
    with pytest.raises(UserError, match=text):
        check_trainable(config_of(**settings))


def test_a_folder_without_slides_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no slide"):
        list_sources(tmp_path / "empty")
    (tmp_path / "a.txt").write_text("a.txt\n")
    with pytest.raises(UserError, match="names another list"):
        list_sources(tmp_path / "a.txt")


def test_the_command_trains_in_a_process_of_its_own(slides, tmp_path, capsys):
    out = tmp_path / "mine.safetensors"
    words = ["--steps", "1", "--batch", "2", "--dim", "4", "--mpp", "8", "--size", "64"]
    words += ["--slide-mpp", "8", "--device", "cpu", "--slides", str(slides), "--out", str(out)]
    assert main(["train", "siamese", *words]) == 0
    error = capsys.readouterr().err
    assert "far partners come from other slides" in error
    assert f"Encoder 'mine' written to {out}" in error
