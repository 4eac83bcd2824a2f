"""Draw PDF pages for `io.pdf_pages`, in a process of its own: `python pdf_worker.py`.

A PDF is a program: a few hundred bytes can ask for hours of drawing, and a fault in the drawing
library would take napari down with unsaved work. This process can be killed at any time, and it
ends by itself when its input ends. It imports nothing of the package, so that it starts quickly.

Each request is a line of JSON, {"path": ..., "page": 1, ...}; each answer is a line of JSON,
followed by its `bytes` of RGB pixels if it says so.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import signal
import sys
from typing import Any, BinaryIO

_MEMORY = 1_500_000_000


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the command, which ends us
    limit_memory()
    import pypdfium2

    answers.write(b"ready\n")
    answers.flush()
    for line in requests:
        pixels = b""
        try:
            answer, pixels = handle(json.loads(line))
        except pypdfium2.PdfiumError as error:
            answer = {"error": str(error)}
        except (MemoryError, ctypes.ArgumentError, OSError, ValueError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer | {"bytes": len(pixels)}).encode() + b"\n")
        answers.write(pixels)
        answers.flush()


def handle(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return the answer to one request, and pixels if it has a page to draw."""
    import pypdfium2

    document = pypdfium2.PdfDocument(request["path"])
    try:
        count = len(document)
        page = request.get("page")
        if page is None or not 1 <= page <= count:
            return {"pages": count}, b""
        sheet = document[page - 1]
        width, height = sheet.get_size()
        scale = drawing_scale(width, height, request)
        size = {
            "pages": count,
            "width": math.ceil(width * scale),
            "height": math.ceil(height * scale),
        }
        if not request["draw"]:
            return size, b""
        bitmap = sheet.render(scale=scale, rev_byteorder=True, prefer_bgrx=True)
        row = bitmap.stride
        return size | {"width": bitmap.width, "height": bitmap.height, "row": row}, bytes(
            bitmap.buffer
        )
    finally:
        document.close()


def drawing_scale(width: float, height: float, request: dict[str, Any]) -> float:
    """Return pixels per point: those asked for, or fewer for a page that would be too large."""
    if not (0 < width < 1e7 and 0 < height < 1e7):
        raise ValueError(f"a page of {width:g} x {height:g} points")
    fitting = math.sqrt(float(request["max_pixels"]) / (width * height))
    scale = min(
        float(request["dpi"]) / 72, fitting, float(request["max_side"]) / max(width, height)
    )
    return scale * (1 - 1e-9)  # 225.00000003 pixels are 225, not 226


def limit_memory() -> None:
    """Let this process have 1.5 GB at most, where the system can hold it to that."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
