"""Background reading is offered once, with the reason, and never where it is on."""

import pytest
from napari.settings import get_settings
from qtpy.QtCore import Qt

from napari_medssl.widgets import _settings
from napari_medssl.widgets._async_slicing import REASON, AsyncOffer

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
def test_it_asks_once_and_does_as_told(preferences, qtbot, answer):
    offer = AsyncOffer()
    qtbot.addWidget(offer)
    offer.offer()
    assert offer.isVisible()
    assert "the window stands still" in REASON
    button = offer.accept_button if answer else offer.decline_button
    with qtbot.waitSignal(offer.answered) as told:
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert told.args == [answer]
    assert get_settings().experimental.async_ is answer
    assert not offer.isVisible()
    get_settings().experimental.async_ = False
    offer.offer()
    assert not offer.isVisible()
    assert preferences.slides.offer_async is False


def test_nobody_is_asked_where_it_is_on(preferences, qtbot):
    get_settings().experimental.async_ = True
    offer = AsyncOffer()
    qtbot.addWidget(offer)
    offer.offer()
    assert not offer.isVisible()
    assert preferences.slides.offer_async is True
