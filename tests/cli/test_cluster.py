"""`medssl cluster` and `medssl evaluate clusters` on folders of made pictures."""

import csv
import json
import shutil

import h5py
import numpy as np
import pytest
from PIL import Image

from napari_medssl._errors import UserError
from napari_medssl.backend import clustering, encoders, view_encoder
from napari_medssl.backend.cluster_folder import (
    ClusterConfig,
    cluster_pictures,
    embed_pictures,
)
from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.backend.jobs import Cancelled
from napari_medssl.backend.kept_batches import KeptBatches
from napari_medssl.backend.map_layout import principal_places
from napari_medssl.cli import main
from napari_medssl.io.embedding_table import write_embeddings

KINDS = ("ring", "stripes")


def picture(kind, rng, side=48):
    """Return noise with a ring or stripes in it, in a light of its own."""
    rows, columns = np.indices((side, side)) - side / 2
    if kind == "ring":
        shape = abs(np.hypot(rows, columns) - side / 4) < 4
    else:
        shape = np.sin(rows * 0.9) > 0
    values = (
        90 + 80 * shape[..., None] + rng.uniform(-40, 40, 3) + rng.normal(0, 8, (side, side, 1))
    )
    return np.clip(values, 0, 255).astype(np.uint8)


@pytest.fixture(autouse=True)
def quick_map(monkeypatch):
    """Lay out maps without UMAP, which compiles for many seconds; test_clustering has it."""

    def principal(embeddings, graph, config, **watch):
        return principal_places(embeddings)

    monkeypatch.setattr(clustering, "lay_out", principal)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """Keep nothing in the cache of who runs the tests."""
    monkeypatch.setenv("MEDSSL_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("clusters") / "shapes"
    for kind in KINDS:
        (folder / kind).mkdir(parents=True)
        for number in range(7):
            Image.fromarray(picture(kind, rng)).save(folder / kind / f"{number}.png")
    return folder


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_folder_nobody_trained_for_is_clustered(folder, tmp_path, capsys):
    out = tmp_path / "clusters.csv"
    assert main(["cluster", str(folder), "--clusters", "2", "--out", str(out)]) == 0
    rows = rows_of(out)
    assert list(rows[0]) == ["image", "cluster", "confidence", "x", "y"]
    assert len(rows) == 14
    of_kind = {kind: {r["cluster"] for r in rows if r["image"].startswith(kind)} for kind in KINDS}
    assert of_kind["ring"] != of_kind["stripes"]
    assert all(len(found) == 1 for found in of_kind.values())
    assert all(0.5 < float(row["confidence"]) <= 1 for row in rows)
    told = capsys.readouterr().err
    assert "Embeddings: ImageNet features, fitted to views of these pictures." in told
    assert "14 pictures in 2 clusters (as given; 7, 7) written to" in told


def test_the_same_seed_gives_the_same_table(folder, tmp_path):
    texts = []
    for name in ("a.csv", "b.csv"):
        cluster_pictures([folder], tmp_path / name, ClusterConfig(device="cpu"))
        texts.append((tmp_path / name).read_bytes())
    assert texts[0] == texts[1]


def test_of_many_pictures_some_are_seen_in_all_views(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(view_encoder, "FITTED", 8)
    config = ClusterConfig(clusters="2", device="cpu")
    report = cluster_pictures([folder], tmp_path / "c.csv", config)
    assert len(report.labels) == 14
    assert report.sizes == (7, 7)


def test_a_broken_picture_is_told_and_left_out(folder, tmp_path, capsys):
    broken = tmp_path / "pictures"
    broken.mkdir()
    for number in range(3):
        Image.fromarray(picture("ring", np.random.default_rng(number))).save(
            broken / f"{number}.png"
        )
    (broken / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    out = tmp_path / "c.csv"
    assert main(["cluster", str(broken), "--clusters", "2", "--out", str(out)]) == 1
    assert "bad.png" in capsys.readouterr().err
    assert len(rows_of(out)) == 3


@pytest.mark.parametrize(
    ("clusters", "words"),
    [
        ("many", "--clusters 'many' is neither auto nor a number from 1"),
        ("0", "--clusters '0' is neither auto nor a number from 1"),
        ("15", "--clusters 15 is more than the 14 rows there are"),
    ],
)
def test_a_number_that_cannot_be_is_refused(folder, tmp_path, clusters, words):
    out = tmp_path / "c.csv"
    config = ClusterConfig(clusters=clusters, encoder="histogram", device="cpu")
    with pytest.raises(UserError, match=words):
        cluster_pictures([folder], out, config)
    assert not out.exists()


def table(tmp_path, values, name="t.parquet"):
    values = np.asarray(values, np.float32)
    path = tmp_path / name
    write_embeddings([f"{n}.png" for n in range(len(values))], values, {"name": "some"}, path)
    return path


def test_a_table_of_embeddings_is_clustered(tmp_path, capsys):
    rng = np.random.default_rng(0)
    values = np.concatenate([np.eye(4)[k] + 0.05 * rng.normal(size=(9, 4)) for k in range(3)])
    out = tmp_path / "c.csv"
    assert (
        main(["cluster", str(table(tmp_path, values)), "--out", str(out), "--clusters", "3"]) == 0
    )
    labels = [row["cluster"] for row in rows_of(out)]
    assert [len(set(labels[n : n + 9])) for n in (0, 9, 18)] == [1, 1, 1]
    assert "Embeddings: the table's, of encoder some." in capsys.readouterr().err


def test_features_of_other_tools_are_clustered(tmp_path, capsys):
    rng = np.random.default_rng(0)
    values = np.concatenate([np.eye(4)[k] + 0.05 * rng.normal(size=(9, 4)) for k in range(3)])
    np.save(tmp_path / "f.npy", values)
    names = "".join(f"{n}.png\n" for n in range(27))
    (tmp_path / "f.csv").write_text(f"image\n{names}")
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["coords"] = np.arange(54).reshape(27, 2)
        file["features"] = values
    found = []
    for name in ("f.npy", "f.csv", "f.h5"):
        out = tmp_path / f"{name}.clusters.csv"
        assert main(["cluster", str(tmp_path / name), "--out", str(out), "--clusters", "3"]) == 0
        found.append([row["cluster"] for row in rows_of(out)])
    assert found[0] == found[1] == found[2]
    assert [len(set(found[0][n : n + 9])) for n in (0, 9, 18)] == [1, 1, 1]
    assert rows_of(out)[1]["image"] == "f#2,3"
    assert "Embeddings: those of 'f.npy'." in capsys.readouterr().err


def test_a_table_that_cannot_be_clustered_says_why(tmp_path):
    spoilt = np.ones((3, 2), np.float32)
    spoilt[1, 0] = np.nan
    config, out = ClusterConfig(), tmp_path / "c.csv"
    with pytest.raises(UserError, match=r"1 of 3 rows of .* hold NaN or infinity, .* '1.png'"):
        cluster_pictures([table(tmp_path, spoilt)], out, config)
    with pytest.raises(UserError, match="holds 1 rows; at least 2 are due"):
        cluster_pictures([table(tmp_path, [[1.0, 0.0]], "one.parquet")], out, config)
    with pytest.raises(UserError, match="2 inputs came with a file of features"):
        cluster_pictures([tmp_path / "one.parquet", tmp_path], out, config)
    (tmp_path / "no.parquet").write_bytes(b"no table")
    with pytest.raises(UserError, match=r"Cannot read 'no\.parquet' as a table of embeddings"):
        cluster_pictures([tmp_path / "no.parquet"], out, config)
    assert not out.exists()


def test_rows_that_are_all_alike_are_one_cluster(tmp_path):
    path = table(tmp_path, np.tile([[0.6, 0.8]], (9, 1)))
    report = cluster_pictures([path], tmp_path / "c.csv", ClusterConfig())
    assert report.sizes == (9,)


def test_one_picture_is_no_folder_to_cluster(tmp_path, folder):
    with pytest.raises(UserError, match="1 of 1 pictures can be read; at least 2 are due"):
        cluster_pictures([folder / "ring" / "0.png"], tmp_path / "c.csv", ClusterConfig())
    with pytest.raises(UserError, match="There is no picture in what was given"):
        cluster_pictures([tmp_path], tmp_path / "c.csv", ClusterConfig())


def test_stopping_writes_nothing(folder, tmp_path):
    asked = []
    with pytest.raises(Cancelled, match="Stopped after 0 of 14 pictures"):
        cluster_pictures(
            [folder],
            tmp_path / "c.csv",
            ClusterConfig(device="cpu"),
            should_stop=lambda: asked.append(1) or len(asked) > 2,
        )
    assert not list(tmp_path.iterdir())


def count_looks(monkeypatch):
    """Return a list that grows with each batch that the network sees."""
    looks, look = [], view_encoder._Eye.look

    def counted(self, tiles, numbers, check):
        made = look(self, tiles, numbers, check)
        looks.append(len(tiles))
        return made

    monkeypatch.setattr(view_encoder._Eye, "look", counted)
    return looks


def test_a_stopped_run_goes_on_to_the_same_table(folder, tmp_path, monkeypatch):
    """Stopped amid the pictures, then amid what follows, then not: no batch is seen twice."""
    monkeypatch.setattr(view_encoder, "_BATCH", 4)
    config = ClusterConfig(device="cpu")
    cluster_pictures([folder], tmp_path / "whole.csv", config)
    cache, out, looks, told = DiskCache(tmp_path / "kept", 2**30), tmp_path / "c.csv", [], []
    looks = count_looks(monkeypatch)
    with pytest.raises(
        Cancelled, match=r"^Stopped after 8 of 14 pictures\. What was seen .*goes on"
    ):
        cluster_pictures([folder], out, config, cache=cache, should_stop=lambda: len(looks) > 1)
    assert looks == [4, 4]
    with pytest.raises(Cancelled, match=r"^Stopped; nothing is written\. What was seen .* goes on"):
        cluster_pictures(
            [folder],
            out,
            config,
            cache=cache,
            on_progress=lambda progress: told.append(progress.message),
            should_stop=lambda: "looking at 3 clusters" in told,
        )
    assert looks == [4, 4, 4, 2]
    assert not out.exists()
    cluster_pictures([folder], out, config, cache=cache)
    assert looks == [4, 4, 4, 2]
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not cache.size_bytes()  # the table is there: nothing is kept


def test_pictures_that_changed_another_seed_and_damage_are_seen_anew(folder, tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    shutil.copytree(folder, mine)
    cache, looks = DiskCache(tmp_path / "kept", 2**30), count_looks(monkeypatch)

    def stopped(seed=0):
        kept = KeptBatches(cache)
        embed_pictures([mine], ClusterConfig(seed=seed, device="cpu"), kept=kept)
        return len(looks)

    assert [stopped(), stopped(), stopped(1), stopped()] == [1, 1, 2, 2]
    Image.fromarray(picture("ring", np.random.default_rng(99))).save(mine / "ring" / "0.png")
    assert stopped() == 3
    for path in (tmp_path / "kept").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-9])
    assert stopped() == 4


def test_a_stopped_run_of_another_encoder_goes_on_too(folder, tmp_path, monkeypatch):
    cache, seen = DiskCache(tmp_path / "kept", 2**30), []
    config = ClusterConfig(encoder="histogram", device="cpu")
    embed = encoders.HistogramEncoder.embed
    monkeypatch.setattr(
        encoders.HistogramEncoder,
        "embed",
        lambda self, tiles: seen.append(len(tiles)) or embed(self, tiles),
    )
    first = embed_pictures([folder], config, kept=KeptBatches(cache))
    kept = KeptBatches(cache)
    again = embed_pictures([folder], config, kept=kept)
    assert seen == [14]
    assert kept.found == 1
    assert (again.embeddings == first.embeddings).all()


def test_stopping_while_clusters_are_counted_writes_nothing(tmp_path):
    values = np.random.default_rng(0).normal(size=(40, 4))
    told = []
    with pytest.raises(Cancelled, match="Stopped; nothing is written"):
        cluster_pictures(
            [table(tmp_path, values)],
            tmp_path / "c.csv",
            ClusterConfig(),
            on_progress=lambda progress: told.append(progress.message),
            should_stop=lambda: "looking at 3 clusters" in told,
        )
    assert told[-1] == "looking at 3 clusters"
    assert not (tmp_path / "c.csv").exists()


def test_the_table_of_scores_has_all_rows(folder, tmp_path, capsys):
    out = tmp_path / "report.json"
    arguments = ["--data", str(folder), "--seeds", "1", "--encoder", "histogram"]
    arguments += ["--encoder", "autoencoder", "--autoencoder-steps", "2"]
    arguments += ["--supervised-steps", "2"]
    assert main(["evaluate", "clusters", *arguments, "--out", str(out)]) == 0
    (one,) = json.loads(out.read_text())["sets"]
    assert one["classes"] == list(KINDS)
    methods = ["histogram, PCA", "autoencoder", "pixels", "pixels, PCA"]
    assert [row["method"] for row in one["rows"]] == methods
    assert all(0.5 <= row["accuracy"] <= 1 for row in one["rows"])
    colors, decoded, pixels, components = (row["error"] for row in one["rows"])
    assert colors is None
    assert decoded > 0.1  # after two steps
    assert pixels == 0
    assert components < 1e-6  # of 14 pictures there are no 32
    assert one["majority"] == 0.5
    assert 0 <= one["supervised"] <= 1
    printed = capsys.readouterr().out
    assert "commonest class" in printed
    assert "supervised, held out" in printed


def test_classes_are_folders(folder, tmp_path, capsys):
    arguments = ["--data", str(folder / "ring"), "--encoder", "histogram"]
    assert main(["evaluate", "clusters", *arguments]) == 2
    assert "and so has no class" in capsys.readouterr().err
    alone = tmp_path / "alone" / "ring"
    alone.mkdir(parents=True)
    for number in range(2):
        image = Image.open(folder / "ring" / f"{number}.png")
        image.save(alone / f"{number}.png")
    arguments = ["--data", str(alone.parent), "--encoder", "histogram"]
    assert main(["evaluate", "clusters", *arguments]) == 2
    assert "holds pictures of 1 class" in capsys.readouterr().err
    assert main(["evaluate", "clusters"]) == 2
