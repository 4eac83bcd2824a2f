"""Settings come from napari's preferences, and have the manifest's defaults."""

from pathlib import Path

import pytest
from npe2 import PluginManifest

from napari_medssl.widgets import _settings
from napari_medssl.widgets._settings import Settings, on_settings_changed, read_settings

pytestmark = pytest.mark.gui


def test_defaults_are_those_of_the_manifest():
    groups = PluginManifest.from_distribution("napari-medssl").contributions.configurations
    listed = {n: p.default for group in groups.values() for n, p in group.properties.items()}
    defaults = Settings()
    assert listed == {
        "device": defaults.device,
        "batch_size": defaults.batch_size,
        "folder": defaults.cache_folder,
        "size_gb": defaults.cache_size_gb,
        "autosave_s": defaults.autosave_s,
        "thumbnails": defaults.has_thumbnails,
        "offer_async": defaults.has_async_offer,
    }


@pytest.fixture
def preferences(monkeypatch):
    """napari's settings of the plugin, not those of the person who runs the tests."""
    from napari.settings import plugin_configuration_generator
    from npe2 import PluginManager

    manager = PluginManager.instance()
    manager.discover()
    groups = plugin_configuration_generator()["napari-medssl"](config_path=None)
    monkeypatch.setattr(_settings, "_groups", lambda: groups)
    return groups


def test_a_changed_preference_is_read_and_told(preferences):
    told = []
    on_settings_changed(told.append)
    preferences.backend.device = "cpu"
    preferences.annotation.thumbnails = False
    assert read_settings() == Settings(device="cpu", has_thumbnails=False)
    assert told[-1] == read_settings()


def test_without_the_plugin_the_defaults_hold(monkeypatch):
    monkeypatch.setattr(_settings, "_groups", lambda: None)
    assert read_settings() == Settings()
    on_settings_changed(print)


def test_the_cache_lies_in_the_folder_of_the_settings(tmp_path):
    cache = Settings(cache_folder=str(tmp_path), cache_size_gb=0.1).open_cache("thumbnails")
    cache.put("key", b"body")
    assert [p.is_file() for p in Path(tmp_path, "thumbnails").glob("*/*")] == [True]
