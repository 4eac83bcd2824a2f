"""Encoders by name and from files: what they give, and what is refused."""

import json

import numpy as np
import pytest
import torch

from napari_medssl._errors import UserError
from napari_medssl.backend.encoders import (
    SIAMESE_ARCHITECTURE,
    list_encoders,
    make_encoder,
)
from napari_medssl.backend.index_config import IndexConfig
from napari_medssl.backend.index_slides import set_up_of
from napari_medssl.backend.models import ModelCard, Recipe, find_weights, write_model
from napari_medssl.index.set_up import SetUp, check_encoder, is_noted
from napari_medssl.methods.siamese.network import NetworkConfig, SiameseNetwork


def tiles(count=3, pixels=224, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, pixels, pixels, 3), np.uint8)


@pytest.mark.parametrize("name", ["imagenet", "untrained", "histogram"])
def test_an_encoder_gives_unit_vectors_of_what_it_says(name):
    encoder = make_encoder(name, "cpu")
    info = encoder.info
    came = encoder.embed(tiles(pixels=info.pixels))
    assert came.dtype == np.float32
    assert came.shape == (3, info.dim)
    assert np.allclose(np.linalg.norm(came, axis=1), 1, atol=1e-5)
    # Neither the batch nor a second encoder changes it.
    again = make_encoder(name, "cpu").embed(tiles(pixels=info.pixels)[1:])
    assert np.allclose(came[1:], again, atol=1e-4)
    assert encoder.embed(tiles(0)).shape == (0, info.dim)
    assert name in list_encoders()


@pytest.mark.filterwarnings("error:The given NumPy array is not writable")
def test_tiles_that_are_read_only_are_embedded_without_a_warning():
    encoder = make_encoder("untrained", "cpu")
    seen = tiles(1, encoder.info.pixels)
    seen.setflags(write=False)
    assert encoder.embed(seen).shape == (1, encoder.info.dim)


def test_the_histogram_counts_colours():
    picture = np.zeros((1, 224, 224, 3), np.uint8)
    picture[:, :112] = (255, 0, 32)
    came = make_encoder("histogram").embed(picture)[0]
    assert set(np.flatnonzero(came)) == {0, 7 * 64 + 1}
    assert came.max() == pytest.approx(0.5**0.5)


def test_tiles_of_another_size_are_a_fault():
    with pytest.raises(ValueError, match="wants uint8"):
        make_encoder("histogram").embed(tiles(pixels=128))


def write_siamese(path, **changes):
    torch.manual_seed(0)
    network = SiameseNetwork(NetworkConfig(dim=16, stages=(1, 2)))
    config = {"dim": 16, "stages": [1, 2], "pixels": 64, "mpp": 0.5} | changes
    card = ModelCard(
        path.stem, "encoder", SIAMESE_ARCHITECTURE, config, Recipe(), (), {}, "BSD-3-Clause", "1"
    )
    write_model(path, network.state_dict(), card)
    return network


def test_a_trained_encoder_is_read_from_its_file(tmp_path):
    network = write_siamese(tmp_path / "mine.safetensors").eval()
    encoder = make_encoder(str(tmp_path / "mine.safetensors"), "cpu")
    assert (encoder.info.name, encoder.info.dim, encoder.info.pixels) == ("mine", 16, 64)
    assert len(encoder.info.sha256) == 64
    batch = tiles(pixels=64)
    with torch.inference_mode():
        due = network(torch.from_numpy(batch).permute(0, 3, 1, 2)).numpy()
    assert np.allclose(encoder.embed(batch), due, atol=1e-5)


def test_a_model_that_is_no_encoder_is_told(tmp_path):
    with pytest.raises(UserError, match="is for the task 'figures', not an encoder"):
        make_encoder(str(find_weights("simcfs-figures")))
    write_siamese(tmp_path / "odd.safetensors", dim=17)
    with pytest.raises(UserError, match="does not fit the network that its card describes"):
        make_encoder(str(tmp_path / "odd.safetensors"))


def test_an_unknown_name_lists_the_known():
    with pytest.raises(UserError, match=r"No encoder is named 'uni'\. Choose one of .*imagenet"):
        make_encoder("uni")


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin"])
def test_torchscript_and_pickles_are_refused(tmp_path, suffix):
    path = tmp_path / f"theirs{suffix}"
    torch.save({"a": torch.ones(1)}, path)
    with pytest.raises(UserError, match="never read"):
        make_encoder(str(path))


@pytest.fixture
def onnx_file(tmp_path):
    """An ONNX network that gives the mean of each channel, and a constant."""
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")

    def write(batch="B", pixels=32, output="GlobalAveragePool", opset=17):
        made = onnx.helper
        float32 = onnx.TensorProto.FLOAT
        nodes = [made.make_node(output, ["tiles"], ["pooled"])]
        if output == "GlobalAveragePool":
            nodes.append(made.make_node("Flatten", ["pooled"], ["embedding"], axis=1))
        else:
            nodes.append(made.make_node("Identity", ["pooled"], ["embedding"]))
        graph = made.make_graph(
            nodes,
            "means",
            [made.make_tensor_value_info("tiles", float32, [batch, 3, pixels, pixels])],
            [made.make_tensor_value_info("embedding", float32, None)],
        )
        network = made.make_model(graph, opset_imports=[made.make_opsetid("", opset)], ir_version=9)
        path = tmp_path / "means.onnx"
        path.write_bytes(network.SerializeToString())
        return path

    return write


def wants(path, **changes):
    values = {"pixels": 32, "mpp": 0.5, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]} | changes
    path.with_suffix(".json").write_text(json.dumps(values))


@pytest.mark.parametrize("batch", ["B", 1, 2])
def test_an_onnx_network_gets_normalised_tiles(onnx_file, batch):
    path = onnx_file(batch)
    wants(path)
    encoder = make_encoder(str(path))
    batch = tiles(5, 32)
    due = (batch.mean(axis=(1, 2)) / 255 - (0.5, 0.4, 0.3)) / (0.2, 0.3, 0.4)
    due /= np.linalg.norm(due, axis=1, keepdims=True)
    assert np.allclose(encoder.embed(batch), due, atol=1e-4)
    assert (encoder.info.dim, encoder.info.mpp, encoder.info.name) == (3, 0.5, "means")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"pixels": "large"}, "says pixels 'large'; due is a whole number"),
        ({"pixels": 64}, "takes tiles of 32 pixels, its JSON file says 64"),
        ({"mean": [1, 2]}, "says mean .*; due are three numbers"),
        ({"std": [1, 0, 1]}, "due are numbers above 0"),
        ({"mpp": -1}, "says mpp -1"),
        ({"stain": "ihc"}, "says stain 'ihc'"),
    ],
)
def test_a_wrong_description_of_a_network_is_told(onnx_file, changes, text):
    path = onnx_file()
    wants(path, **changes)
    with pytest.raises(UserError, match=text):
        make_encoder(str(path))


def test_a_library_knows_mean_and_std_of_an_onnx_network(onnx_file):
    """The network alone does not say what it makes of a tile."""
    path = onnx_file()
    wants(path)
    set_up = set_up_of(make_encoder(str(path)), IndexConfig())
    assert set_up.preprocessing == "mean 0.5 0.4 0.3, std 0.2 0.3 0.4"
    wants(path, std=[0.2, 0.3, 0.5])
    info = make_encoder(str(path)).info
    assert info.sha256 == set_up.sha256
    told = (
        r"the file beside them says mean .*0\.5 where it said mean .*0\.4, so .*'means\.json' back"
    )
    with pytest.raises(UserError, match=told):
        check_encoder(set_up, info.name, info.sha256, info.preprocessing)
    # Made before that was noted: it is read as it was, under its own name.
    old = SetUp.from_json({k: v for k, v in set_up.to_json().items() if k != "preprocessing"})
    assert old.name != set_up.name
    assert SetUp.from_json(old.to_json()) == old
    check_encoder(old, info.name, info.sha256, info.preprocessing)
    assert not is_noted(old, info.preprocessing)


def test_an_onnx_file_without_its_description_is_told(onnx_file):
    with pytest.raises(UserError, match=r"There is no 'means\.json' beside 'means\.onnx'\. Write"):
        make_encoder(str(onnx_file()))


def test_what_is_no_such_network_is_told(onnx_file, tmp_path):
    path = onnx_file(output="Relu")
    wants(path)
    with pytest.raises(UserError, match="Export it with its pooling"):
        make_encoder(str(path))
    path.write_bytes(b"no network")
    with pytest.raises(UserError, match="cannot be read as an ONNX network"):
        make_encoder(str(path))
    with pytest.raises(UserError, match="does not exist"):
        make_encoder(str(tmp_path / "gone.onnx"))
