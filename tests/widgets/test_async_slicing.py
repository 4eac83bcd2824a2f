"""Background reading is offered once, with the reason, and never where it is on."""

import pytest
from napari.settings import get_settings

from napari_medssl.widgets import _settings
from napari_medssl.widgets._async_slicing import offer_async

pytestmark = pytest.mark.gui


@pytest.fixture
def preferences(monkeypatch):
    """napari's settings of the plugin, not those of the person who runs the tests."""
    from napari.settings import plugin_configuration_generator
    from npe2 import PluginManager

    PluginManager.instance().discover()
    groups = plugin_configuration_generator()["napari-medssl"](config_path=None)
    monkeypatch.setattr(_settings, "_groups", lambda: groups)
    experimental = get_settings().experimental
    before = experimental.async_
    experimental.async_ = False
    yield groups
    experimental.async_ = before


@pytest.mark.parametrize("answer", [True, False])
def test_it_asks_once_and_does_as_told(preferences, answer):
    asked = []

    def ask(text):
        asked.append(text)
        return answer

    assert offer_async(ask) is answer
    assert get_settings().experimental.async_ is answer
    get_settings().experimental.async_ = False
    assert offer_async(ask) is False
    assert len(asked) == 1
    assert "the window stands still" in asked[0]
    assert preferences.slides.offer_async is False


def test_nobody_is_asked_where_it_is_on(preferences):
    get_settings().experimental.async_ = True
    assert offer_async(lambda _: pytest.fail("asked")) is True
    assert preferences.slides.offer_async is True


def test_a_dialog_that_dies_is_not_shown_again(preferences):
    def die(_):
        raise RuntimeError("window closed")

    with pytest.raises(RuntimeError):
        offer_async(die)
    assert offer_async(lambda _: pytest.fail("asked again")) is False
