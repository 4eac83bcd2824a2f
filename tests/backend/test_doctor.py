"""The doctor finds each fault and names the fix; what cannot be looked at is a finding too."""

import json
import subprocess
import sys

import pytest

from napari_medssl import cli
from napari_medssl.backend import doctor


def checks():
    return {check.name: check for check in doctor.examine()}


def test_every_part_is_looked_at():
    found = checks()
    for name in ("python", "torch", "device", "Qt", "display", "OpenSlide", "cache folder"):
        assert name in found
    assert any(name.startswith("weights") for name in found)


def test_every_fault_names_its_fix(monkeypatch):
    monkeypatch.setattr(doctor, "_LOOKS", (("weights", lambda: 1 // 0),))
    found = checks()["weights"]
    assert (found.state, found.found) == (
        "fault",
        "ZeroDivisionError: integer division or modulo by zero",
    )
    assert "pip install" in found.fix


def test_a_missing_package_is_a_fault(monkeypatch):
    monkeypatch.setattr(doctor, "_PACKAGES", ("no-such-package",))
    assert checks()["no-such-package"].fix == "pip install no-such-package"


def test_a_cache_folder_that_cannot_be_written_is_a_fault(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MEDSSL_CACHE", str(tmp_path / "file"))
    found = checks()["cache folder"]
    assert found.state == "fault"
    assert "MEDSSL_CACHE" in found.fix


def test_changed_weights_are_a_fault(monkeypatch, tmp_path):
    import torch
    from test_models import CARD

    from napari_medssl.backend import models

    path = tmp_path / "tiny.safetensors"
    models.write_model(path, {"a": torch.zeros(3)}, CARD)
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    monkeypatch.setattr(models, "_model_folders", lambda: (tmp_path,))
    found = checks()["weights tiny"]
    assert found.state == "fault"
    assert "not the one its card describes" in found.found


def test_no_display_is_a_warning_with_the_command_to_use(monkeypatch):
    if sys.platform != "linux":
        pytest.skip("only Linux runs without a display")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    found = checks()["display"]
    assert found.state == "warning"
    assert "xvfb-run" in found.fix


def test_a_display_that_is_not_there_names_the_packages(monkeypatch):
    if sys.platform != "linux":
        pytest.skip("only Linux chooses its display by DISPLAY")
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    found = checks()["display"]
    assert found.state == "fault"
    assert "libxcb-cursor0" in found.fix


@pytest.mark.gui
def test_with_a_display_the_gl_version_is_told():
    assert checks()["display"].found.startswith("OpenGL ")


def test_the_verb_prints_json_and_exits_1_on_a_fault(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_LOOKS", ())
    monkeypatch.setattr(doctor, "_PACKAGES", ("no-such-package",))
    assert cli.main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["faults"] == 1
    assert report["checks"][-1]["name"] == "no-such-package"


def test_the_verb_runs_where_nothing_is_imported_yet():
    code = "import sys; from napari_medssl.cli import main; sys.exit(main(['models', '--json']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), list)
