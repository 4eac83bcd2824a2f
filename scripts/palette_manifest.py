"""Write the commands of the widgets into the manifest, from the tables in the package.

    python scripts/palette_manifest.py

Run it after a change of `commands.py` of a widget; a test compares the two.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from napari_medssl.io.files import write_whole
from napari_medssl.widgets.embedding_map import palette as embedding_map
from napari_medssl.widgets.landmarks import palette as landmarks
from napari_medssl.widgets.segmentation import palette as segmentation
from napari_medssl.widgets.separation import palette as separation
from napari_medssl.widgets.similar import palette as similar
from napari_medssl.widgets.slides import palette as slides

MANIFEST = Path(__file__).resolve().parents[1] / "src" / "napari_medssl" / "napari.yaml"
BEGIN = "    # Actions of the widget: made by scripts/palette_manifest.py, not by hand.\n"
END = "    # End of the actions.\n"


def rendered() -> str:
    """Return the entries as YAML, each title quoted: some hold a colon."""
    lines = []
    modules = (separation, slides, similar, landmarks, segmentation, embedding_map)
    for palette in (module.PALETTE for module in modules):
        for entry in palette.manifest_entries():
            lines += [
                f"    - id: {entry['id']}\n",
                f"      title: {json.dumps(entry['title'])}\n",
                f"      python_name: {entry['python_name']}\n",
            ]
    return "".join(lines)


def main() -> int:
    """Write the manifest; return the exit code."""
    before, _, rest = MANIFEST.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        print(f"error: {MANIFEST.name} lacks the lines {BEGIN.strip()!r} and {END.strip()!r}.")
        return 1
    write_whole(MANIFEST, f"{before}{BEGIN}{rendered()}{END}{after}".encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
