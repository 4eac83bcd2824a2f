"""The plugin's settings from napari's preferences, as one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from napari_medssl.backend.disk_cache import DiskCache
from napari_medssl.backend.folders import cache_folder

_PLUGIN = "napari-medssl"


@dataclass(frozen=True)
class Settings:
    """What a user has chosen under Preferences > Plugins; the defaults are the manifest's."""

    device: str = "auto"
    batch_size: int = 8
    cache_folder: str = ""
    cache_size_gb: float = 5.0
    autosave_s: float = 1.0
    has_thumbnails: bool = True
    has_async_offer: bool = True

    def open_cache(self, name: str) -> DiskCache:
        """Return the part of the cache that is called `name`."""
        folder: Path = cache_folder(self.cache_folder) / name
        return DiskCache(folder, int(self.cache_size_gb * 1e9))


def _groups() -> Any:
    """Return napari's settings of this plugin; None where the plugin is not registered."""
    from napari.settings import get_plugin_settings

    try:
        return get_plugin_settings(_PLUGIN)
    except (KeyError, AttributeError):  # a viewer in a test may know no plugins
        return None


def read_settings() -> Settings:
    """Return the settings as they are now."""
    groups = _groups()
    if groups is None:
        return Settings()
    return Settings(
        device=groups.backend.device,
        batch_size=groups.backend.batch_size,
        cache_folder=groups.cache.folder,
        cache_size_gb=groups.cache.size_gb,
        autosave_s=groups.annotation.autosave_s,
        has_thumbnails=groups.annotation.thumbnails,
        has_async_offer=groups.slides.offer_async,
    )


def forget_async_offer() -> None:
    """Remember that asynchronous slicing has been offered."""
    groups = _groups()
    if groups is not None:
        groups.slides.offer_async = False


def on_settings_changed(callback: Callable[[Settings], None]) -> None:
    """Call `callback` with the new settings after every change in the preferences."""
    groups = _groups()
    if groups is None:
        return
    for group in (groups.backend, groups.cache, groups.annotation, groups.slides):
        group.events.connect(partial(_tell, callback))


def _tell(callback: Callable[[Settings], None], *_: object) -> None:
    callback(read_settings())
