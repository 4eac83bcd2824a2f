"""Ask once whether napari may read slides in the background: its default stalls the window."""

from __future__ import annotations

from collections.abc import Callable

from napari_medssl.widgets import _settings

REASON = (
    "Slides are read while you move over them. As napari is set now, the window stands still until "
    "the new part is read. With asynchronous slicing it stays responsive and the part appears when "
    "it is there. Turn it on for all layers? (Preferences > Experimental has the switch.)"
)


def offer_async(ask: Callable[[str], bool]) -> bool:
    """Return whether slices are read in the background, after asking if nobody was asked before.

    Parameters
    ----------
    ask
        Shows a text to the person and returns whether they agree. Called at most once on a
        machine, and not at all where asynchronous slicing is on already.
    """
    from napari.settings import get_settings

    experimental = get_settings().experimental
    if experimental.async_:
        return True
    if not _settings.read_settings().has_async_offer:
        return False
    # Remembered before asking: a dialog that dies with the window must not come again for ever.
    _settings.forget_async_offer()
    if ask(REASON):
        experimental.async_ = True
    return bool(experimental.async_)
