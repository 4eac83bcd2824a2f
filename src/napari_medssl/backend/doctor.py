"""Look over this installation: what is there, what is wrong, and how to mend it."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from napari_medssl import __version__
from napari_medssl._errors import UserError
from napari_medssl.backend.folders import cache_folder

State = Literal["ok", "warning", "fault"]

_PACKAGES = (
    "napari", "npe2", "magicgui", "superqt", "psygnal", "numpy", "scipy", "scikit-image",
    "torch", "safetensors", "zarr", "openslide-python", "openslide-bin", "tifffile", "imagecodecs",
    "pypdfium2", "umap-learn", "faiss-cpu", "typer", "rich",
)  # fmt: skip

# Run in a process of its own: a broken GL driver or Qt plugin ends the process that tries it.
_GL_PROBE = """
from qtpy.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext
from qtpy import API_NAME, QT_VERSION
app = QGuiApplication([])
surface = QOffscreenSurface(); surface.create()
context = QOpenGLContext()
made = context.create() and context.makeCurrent(surface)
found = context.format() if made else None
version = f"{found.majorVersion()}.{found.minorVersion()}" if made else "none"
print("GL", version, API_NAME, QT_VERSION)
"""
_GL_PACKAGES = (
    "libgl1-mesa-dri libegl1 libopengl0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 "
    "libxcb-keysyms1 libxcb-shape0 libxcb-xinerama0 libxcb-image0 libxcb-render-util0 libdbus-1-3"
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: what was found, and what to do about it when it is not right."""

    name: str
    state: State
    found: str
    fix: str = ""


def examine() -> tuple[Check, ...]:
    """Return every check of this installation; nothing here raises."""
    checks = [_python(), *_packages()]
    for name, look in _LOOKS:
        try:
            checks.extend(look())
        except Exception as error:  # a broken install can fail in any way: that is the finding
            found = f"{type(error).__name__}: {error}"
            fix = "Reinstall: pip install --force-reinstall napari-medssl"
            checks.append(Check(name, "fault", found, fix))
    return tuple(checks)


def _python() -> Check:
    return Check("python", "ok", f"{platform.python_version()} on {platform.platform()}")


def _packages() -> list[Check]:
    checks = [Check("napari-medssl", "ok", __version__)]
    for name in _PACKAGES:
        try:
            checks.append(Check(name, "ok", metadata.version(name)))
        except metadata.PackageNotFoundError:
            checks.append(Check(name, "fault", "not installed", f"pip install {name}"))
    return checks


def _devices() -> list[Check]:
    from napari_medssl.backend.device import list_devices

    found = list_devices()
    titles = ", ".join(_device_title(d.name, d.title, d.memory_bytes) for d in found)
    if len(found) > 1:
        return [Check("device", "ok", titles)]
    fix = "For an NVIDIA GPU install its driver and a CUDA build of torch; all works without."
    return [Check("device", "warning" if _has_nvidia_card() else "ok", titles, fix)]


def _has_nvidia_card() -> bool:
    return Path("/proc/driver/nvidia/version").exists()


def _device_title(name: str, title: str, memory_bytes: int | None) -> str:
    memory = f", {memory_bytes / 2**30:.0f} GiB" if memory_bytes else ""
    return f"{name} ({title}{memory})"


def _qt() -> list[Check]:
    bindings = [n for n in ("PyQt6", "PySide6", "PyQt5", "PySide2") if importlib.util.find_spec(n)]
    if not bindings:
        fix = 'pip install "napari-medssl[qt]" (the command line works without)'
        return [Check("Qt", "fault", "no Qt binding", fix)]
    named = ", ".join(f"{name} {metadata.version(name)}" for name in bindings)
    if len(bindings) > 1:
        fix = "Two Qt bindings in one environment can clash: pip uninstall all but one."
        return [Check("Qt", "warning", named, fix)]
    return [Check("Qt", "ok", named)]


def _display() -> list[Check]:
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        fix = "For the window on a machine without a screen: xvfb-run -a napari -w napari-medssl"
        return [Check("display", "warning", "none (DISPLAY is not set)", fix)]
    probe = subprocess.run(
        [sys.executable, "-c", _GL_PROBE], capture_output=True, text=True, timeout=60, check=False
    )
    words = [line.split() for line in probe.stdout.splitlines() if line.startswith("GL ")]
    if probe.returncode or not words:
        said = (probe.stderr.strip().splitlines() or ["no output"])[-1]
        fix = f"On Debian or Ubuntu: apt-get install {_GL_PACKAGES}"
        return [Check("display", "fault", f"Qt does not start: {said}", fix)]
    _, version, binding, qt = words[0]
    if version == "none":
        fix = f"Install a GL driver; on Debian or Ubuntu: apt-get install {_GL_PACKAGES}"
        return [Check("display", "fault", f"{binding} on Qt {qt}, but no OpenGL", fix)]
    return [Check("display", "ok", f"OpenGL {version}, {binding} on Qt {qt}")]


def _openslide() -> list[Check]:
    try:
        import openslide
    except (ImportError, OSError) as error:
        fix = "pip install openslide-python openslide-bin"
        return [Check("OpenSlide", "fault", str(error), fix)]
    return [Check("OpenSlide", "ok", f"library {openslide.__library_version__}")]


def _weights() -> list[Check]:
    from napari_medssl.backend.models import find_weights, list_models

    checks = []
    for model in list_models():
        name = f"weights {model.card.name}"
        try:
            find_weights(model.path)
        except UserError as error:
            checks.append(Check(name, "fault", str(error), "Reinstall napari-medssl."))
        else:
            checks.append(Check(name, "ok", f"sha256 {model.card.sha256[:12]} as on its card"))
    if not checks:
        fix = "Reinstall napari-medssl, or put a model into the models folder."
        checks.append(Check("weights", "fault", "no model is registered", fix))
    return checks


def _cache() -> list[Check]:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        fix = "Choose another folder in MEDSSL_CACHE or in napari's preferences."
        return [Check("cache folder", "fault", f"{folder}: {error.strerror or error}", fix)]
    return [Check("cache folder", "ok", f"{folder} (writable)")]


_LOOKS: tuple[tuple[str, Callable[[], list[Check]]], ...] = (
    ("device", _devices),
    ("Qt", _qt),
    ("display", _display),
    ("OpenSlide", _openslide),
    ("weights", _weights),
    ("cache folder", _cache),
)
