"""Where the plugin keeps what it makes: the user's models and the cache."""

from __future__ import annotations

import os
from pathlib import Path

_APP = "napari-medssl"


def user_models_folder() -> Path:
    """Return the folder of the user's own models (it need not exist)."""
    from platformdirs import user_data_path

    return user_data_path(_APP, appauthor=False) / "models"


def cache_folder(setting: str = "") -> Path:
    """Return the cache folder (it need not exist).

    Parameters
    ----------
    setting
        The folder from the plugin's settings; empty for the environment variable `MEDSSL_CACHE`,
        or else the system's usual place.
    """
    chosen = setting or os.environ.get("MEDSSL_CACHE", "")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path(_APP, appauthor=False)
