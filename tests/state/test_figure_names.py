"""The folder shown beside a name is the shortest that tells it apart."""

import pytest

from napari_medssl.state.figure_names import folders_to_show


def shown(*paths):
    keys = dict(enumerate(paths))
    return folders_to_show({k: (p.rsplit("/", 1)[-1], p) for k, p in keys.items()})


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (("/a/fig1.png", "/a/fig2.png"), {}),
        (("/a/fig1.png", "/b/fig1.png"), {0: "a", 1: "b"}),
        (("/a/raw/fig1.png", "/b/raw/fig1.png"), {0: "a/raw", 1: "b/raw"}),
        (("/a/raw/f.png", "/b/raw/f.png", "/c/f.png"), {0: "a/raw", 1: "b/raw", 2: "c"}),
        (("f.png", "a/f.png"), {1: "a"}),
        (("/a/f.png", "/a/f.png"), {}),
        (("raw/f.png", "b/raw/f.png"), {0: "raw", 1: "b/raw"}),
    ],
)
def test_folders_tell_figures_of_one_name_apart(paths, expected):
    assert {key: folder for key, folder in shown(*paths).items() if folder} == expected
