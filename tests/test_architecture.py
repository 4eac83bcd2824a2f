"""The picture in ARCHITECTURE.md is true: imports, sizes, the manifest, no pickles."""

from __future__ import annotations

import ast
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "napari_medssl"
MODULES = sorted(SOURCE.rglob("*.py"))
LONG = 300


def fresh_python(code, *options):
    done = subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_bare_import_loads_neither_torch_nor_qt_nor_napari():
    code = "import sys, napari_medssl; print(*sys.modules)"
    loaded = {name.split(".")[0] for name in fresh_python(code).stdout.split()}
    assert not loaded & {"torch", "qtpy", "PyQt6", "PySide6", "napari", "umap", "numpy", "zarr"}


def test_bare_import_takes_less_than_150_ms():
    def import_ms():
        report = fresh_python("import napari_medssl", "-X", "importtime").stderr
        ours = [line for line in report.splitlines() if line.endswith("| napari_medssl")]
        return int(ours[0].split("|")[1]) / 1000

    assert statistics.median(import_ms() for _ in range(5)) < 150


def test_opening_a_widget_imports_nothing_heavy():
    """Widgets are imported on the GUI thread: what takes long is imported in a thread that uses it.

    All in one process, since napari takes long to import: a widget answers for what it adds.
    """
    code = """
import sys, importlib, napari.layers, napari.window
heavy = ("pandas", "scipy", "sklearn", "numba", "skimage", "torch", "umap", "openslide", "zarr")
heavy += ("dask",)
known = set(sys.modules)
for name in ("embedding_map", "landmarks", "segmentation", "separation", "slides", "similar"):
    importlib.import_module("napari_medssl.widgets." + name)
    added = sorted(each for each in set(sys.modules) - known if each.startswith(heavy))
    assert not added, f"{name} imports {added[:9]}"
    known |= set(sys.modules)
"""
    fresh_python(code)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_long_file_says_why(path):
    lines = path.read_text("utf-8").splitlines()
    docstring = ast.get_docstring(ast.parse("\n".join(lines))) or ""
    assert docstring, "a module opens with one sentence"
    assert len(lines) <= LONG or "More than 300 lines:" in docstring, (
        f"{len(lines)} lines: split it, or say 'More than 300 lines: why' in its docstring"
    )


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_file_has_a_name_that_says_nothing(path):
    assert not {"utils", "helpers", "common", "misc"} & set(path.relative_to(SOURCE).parts)
    assert path.stem not in {"utils", "helpers", "common", "misc"}


def test_no_pickled_file_is_ever_loaded():
    """The only unpickling is of what a process of the program and its own child hand each other."""
    found = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                call = ast.unparse(node.func)
                if re.fullmatch(r"(torch|joblib|pickle|dill|cloudpickle)\.(load|loads)", call):
                    found.add((path.name, call))
                allows = [k for k in node.keywords if k.arg == "allow_pickle"]
                if any(ast.unparse(k.value) != "False" for k in allows):
                    found.add((path.name, "allow_pickle"))
    assert found == {("training.py", "pickle.loads"), ("compute_worker.py", "pickle.loads")}


def test_the_import_contracts_are_kept():
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_top_level_manifest_is_the_packaged_one():
    assert (ROOT / "napari.yaml").read_text() == (SOURCE / "napari.yaml").read_text()


def manifest():
    from npe2 import PluginManifest

    return PluginManifest.from_distribution("napari-medssl")


def test_every_python_name_of_the_manifest_resolves():
    manifest().validate_imports()


def test_every_command_of_the_manifest_belongs_to_something():
    """A command without a contribution would be a palette entry that does nothing.

    Actions are the exception: what a person can do in a widget. Each is in the table of its widget,
    from which its keys come too.
    """
    from napari_medssl.widgets.embedding_map import palette as embedding_map
    from napari_medssl.widgets.landmarks import palette as landmarks
    from napari_medssl.widgets.segmentation import palette as segmentation
    from napari_medssl.widgets.separation import palette as separation
    from napari_medssl.widgets.similar import palette as similar
    from napari_medssl.widgets.slides import palette as slides

    contributions = manifest().contributions
    palettes = (separation, slides, similar, landmarks, segmentation, embedding_map)
    actions = {
        command.id
        for command in contributions.commands
        if command.python_name.partition(":")[0] in {palette.__name__ for palette in palettes}
    }
    entries = [entry for palette in palettes for entry in palette.PALETTE.manifest_entries()]
    assert actions == {entry["id"] for entry in entries}
    assert len(entries) == len(actions)
    used = {
        item.command
        for kind in ("readers", "writers", "sample_data", "widgets")
        for item in getattr(contributions, kind) or ()
    }
    items = [item for menu in (contributions.menus or {}).values() for item in menu]
    used |= {item.command for item in items if hasattr(item, "command")}
    assert not used & actions
    assert {command.id for command in contributions.commands} == used | actions


def test_settings_have_titles_and_descriptions():
    for group in manifest().contributions.configurations.values():
        for name, setting in group.properties.items():
            assert setting.title, name
            assert setting.description, name


def test_without_a_display_the_window_is_refused_in_one_line():
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    if sys.platform != "linux":
        pytest.skip("only Linux runs without a display")
    done = subprocess.run(
        [sys.executable, "-m", "napari_medssl"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: There is no display")
    assert done.stderr.count("\n") == 1


def test_no_project_file_names_a_private_place():
    """Neither a folder of one machine nor a package mirror belongs into the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("no git checkout")
    # Written in two parts, or this file would name them itself.
    private = re.compile("|".join(["/wo" + "rk/", "/ho" + "me/[a-z]", "--index" + "-url"]))
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in {".png", ".safetensors"} or not path.is_file():
            continue
        if private.search(path.read_text("utf-8", errors="ignore")):
            found.append(name)
    assert not found


def test_only_one_place_connects_to_the_end_of_a_qt_object():
    """A slot of `destroyed` may be cleared before it is called, which crashes: see when_gone."""
    found = {path.name for path in MODULES if ".destroyed.connect(" in path.read_text("utf-8")}
    assert found == {"_lifetime.py"}


def test_no_slot_is_a_lambda():
    """The collector may clear a function that only a signal holds: slots are methods."""
    found = []
    for path in (SOURCE / "widgets").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            is_slot = node.func.attr in ("connect", "singleShot")
            if is_slot and any(isinstance(arg, ast.Lambda) for arg in node.args):
                found.append(f"{path.name}:{node.lineno}")
    assert not found


def test_what_tests_share_has_names_of_its_own():
    """It is imported by its bare name, so one of two would hide the other."""
    names = [path.name for path in Path(__file__).parent.rglob("*.py")]
    names = [name for name in names if not name.startswith(("test_", "conftest"))]
    assert sorted(names) == sorted(set(names))
