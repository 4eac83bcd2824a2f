"""The model registry: only whole, known, unpickled weights get through."""

import json
import threading
from dataclasses import replace

import pytest
import torch

from napari_medssl._errors import UserError
from napari_medssl.backend import models
from napari_medssl.backend.model_cards import card_from_json, card_to_json
from napari_medssl.backend.models import (
    DataSource,
    ModelCache,
    ModelCard,
    Recipe,
    find_weights,
    list_models,
    load_card,
    read_weights,
    write_model,
)

CARD = ModelCard(
    name="tiny",
    task="figures",
    architecture="Tiny",
    config={"width": 4},
    recipe=Recipe("medssl train figures", {"lr": 0.1}, 3, 100, 12.5, "2 CPU cores"),
    data=(DataSource("drawn panels", "BSD-3-Clause"),),
    metrics={"f1": 0.5},
    licence="BSD-3-Clause",
    version="1",
)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two model folders of the test's own: shipped and user."""
    shipped, user = tmp_path / "shipped", tmp_path / "user"
    monkeypatch.setattr(models, "_model_folders", lambda: (shipped, user))
    monkeypatch.setattr(models, "user_models_folder", lambda: user)
    return shipped, user


def state():
    weight = torch.arange(6.0).reshape(2, 3)
    return {"weight": weight, "tied": weight, "half": weight.t().half()}


def test_a_card_survives_its_json():
    assert card_from_json(card_to_json(CARD), "here") == CARD


def test_written_weights_and_card_are_read_back(tmp_path):
    path = tmp_path / "deep" / "tiny.safetensors"
    card = write_model(path, state(), CARD)
    tensors, _ = read_weights(find_weights(path))
    assert all(torch.equal(tensors[name], value) for name, value in state().items())
    assert load_card(path) == card == replace(CARD, sha256=models.file_sha256(path))


def test_a_file_sent_without_its_json_still_has_its_card(tmp_path):
    path = tmp_path / "tiny.safetensors"
    write_model(path, state(), CARD)
    path.with_suffix(".json").unlink()
    assert load_card(path) == CARD


def test_shipped_models_come_first_and_win_over_user_models(folders):
    shipped, user = folders
    write_model(user / "tiny.safetensors", state(), replace(CARD, version="mine"))
    write_model(user / "other.safetensors", state(), replace(CARD, name="other"))
    write_model(shipped / "tiny.safetensors", state(), CARD)
    found = list_models()
    assert [(m.card.name, m.is_shipped) for m in found] == [("tiny", True), ("other", False)]
    assert load_card("tiny").version == "1"


def test_a_changed_weights_file_is_refused(folders):
    path = folders[0] / "tiny.safetensors"
    write_model(path, state(), CARD)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="not the one its card describes"):
        find_weights("tiny")


def test_an_unknown_name_lists_the_known_ones(folders):
    write_model(folders[1] / "tiny.safetensors", state(), CARD)
    with pytest.raises(UserError, match=r"No model is named 'tinny'. Registered: tiny\."):
        find_weights("tinny")


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.safetensors"])
def test_pickled_weights_are_refused_by_name_and_by_content(tmp_path, name):
    path = tmp_path / name
    torch.save(state(), path)
    with pytest.raises(UserError, match=r"Pickled weights .* never read"):
        find_weights(str(path))


def test_an_old_style_pickle_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    torch.save(state(), path, _use_new_zipfile_serialization=False)
    with pytest.raises(UserError, match="Pickled weights"):
        read_weights(path)


def test_a_missing_file_is_told_by_name(tmp_path):
    with pytest.raises(UserError, match=r"nothing\.safetensors' does not exist"):
        find_weights(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("content", [b"", b"12345678", b"\xff" * 64, b"\x08" + b"\0" * 7 + b"{}"])
def test_damaged_weights_are_one_readable_line(tmp_path, content):
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"net\.safetensors' (is empty|cannot be read)") as error:
        read_weights(path)
    assert "\n" not in str(error.value)


def test_a_cut_file_is_refused(tmp_path):
    path = tmp_path / "tiny.safetensors"
    write_model(path, state(), CARD)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        read_weights(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "holds a list"),
        ('{"name": "x"}', "lacks architecture, config"),
        (json.dumps({**json.loads(card_to_json(CARD)), "recipe": {"x": 1}}), "wrong entries"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_a_bad_card_is_one_readable_line(text, said):
    with pytest.raises(UserError, match=said):
        card_from_json(text, "'tiny.json'")


def test_a_failed_write_leaves_the_old_model(tmp_path):
    path = tmp_path / "tiny.safetensors"
    write_model(path, state(), CARD)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_model(path, state(), replace(CARD, metrics={"f1": object()}))
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny.json", "tiny.safetensors"]


def test_cache_loads_once_and_lets_the_oldest_go():
    loads = []
    cache = ModelCache(2)

    def get(key):
        return cache.get(key, lambda: loads.append(key) or key)

    assert [get(k) for k in "aabacb"] == list("aabacb")
    assert loads == ["a", "b", "c", "b"]  # b was unused for longest when c came
    assert len(cache) == 2


def test_cache_loads_once_for_two_threads_at_a_time():
    cache, loads, gate = ModelCache(1), [], threading.Barrier(4)

    def load():
        loads.append(1)
        return "model"

    def ask():
        gate.wait()
        cache.get("key", load)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [1]


def test_cache_keeps_nothing_of_a_failed_load():
    cache = ModelCache(1)
    with pytest.raises(ZeroDivisionError):
        cache.get("key", lambda: 1 // 0)
    assert cache.get("key", lambda: "good") == "good"


def test_every_shipped_model_matches_its_card():
    for model in list_models():
        if model.is_shipped:
            assert find_weights(model.card.name) == model.path
            assert model.card.name == model.path.stem
