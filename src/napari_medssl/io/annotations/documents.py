"""Open JSON, XML and YAML that may be hostile: bounded in size, depth, entities and aliases."""

from __future__ import annotations

import json
import reprlib
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import yaml

from napari_medssl._errors import UserError
from napari_medssl.io.limits import one_line

MAX_BYTES = 200_000_000
"""Size of the largest annotation file: parsed JSON takes about eight times as much memory."""

MAX_YAML_BYTES = 1_000_000

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 60
_short.maxlevel = 3


def show(value: object) -> str:
    """Return `value` for an error line: its repr, short, whatever it is."""
    return "".join(c if c.isprintable() else "?" for c in _short.repr(value))


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Return the bytes of `path`; `UserError` if it is missing or larger than `limit` bytes."""
    try:
        if not path.is_file():
            raise UserError(f"Cannot read {str(path)!r}: there is no such plain file.")
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"Cannot read {str(path)!r}: {one_line(error)}.") from error
    if len(data) > limit:
        raise UserError(
            f"Cannot read {str(path)!r}: larger than {limit // 1_000_000} MB. Split the file."
        )
    return data


def read_text(path: Path, limit: int = MAX_BYTES, *, may_be_empty: bool = False) -> str:
    """Return the text of `path`: UTF-8 or UTF-16 with its mark, else Latin-1, which always fits.

    Raises what `read_bytes` raises, and `UserError` for a file of nothing but white space.
    """
    return decode_text(read_bytes(path, limit), path, may_be_empty=may_be_empty)


def decode_text(data: bytes, path: Path, *, may_be_empty: bool = False) -> str:
    """Return the text of the bytes of `path`, as `read_text` does."""
    if not may_be_empty and not data.strip():
        raise UserError(f"Cannot read {str(path)!r}: the file is empty.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise _TwiceError(twice)
    return result


class _TwiceError(Exception):
    """A member of a JSON object stands there twice."""


def parse_json(text: str, path: Path, *, unique_keys: bool = False) -> Any:
    """Return what the JSON `text` of `path` holds; `UserError` where it is broken or too deep.

    NaN and Infinity, which some tools write, come through as floats: whoever wants a number
    checks it. With `unique_keys` an object that names a member twice is refused, because only
    one of the two could be kept.
    """
    try:
        return json.loads(text, object_pairs_hook=_refuse_twice if unique_keys else None)
    except _TwiceError as error:
        reason = f"one object names {show(error.args[0])} twice"
    except RecursionError:
        reason = "nested too deeply"
    except json.JSONDecodeError as error:
        reason = f"{error.msg} in line {error.lineno}, column {error.colno}"
    except ValueError:  # whole numbers of more than 4300 digits
        reason = "a number with thousands of digits"
    raise UserError(f"Cannot read {str(path)!r}: not sound JSON ({reason}).")


def parse_xml(path: Path) -> Element:
    """Return the root of the XML file at `path`; entities and external files are refused."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(read_bytes(path))
    except ParseError as error:
        raise UserError(f"Cannot read {str(path)!r}: not sound XML ({one_line(error)}).") from error
    except (DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        raise UserError(
            f"Cannot read {str(path)!r}: XML that defines entities is refused, "
            "because it can read other files and fill the memory."
        ) from error
    return root  # type: ignore[no-any-return]


class _PlainLoader(yaml.SafeLoader):  # type: ignore[misc]
    """Safe YAML without aliases: a few lines of them can stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are refused")
        return super().compose_node(parent, index)


def parse_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in the YAML file at `path`; its keys are made text."""
    text = read_text(path, MAX_YAML_BYTES)
    try:
        content = yaml.load(text, _PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        problem = getattr(error, "problem", None) or error
        raise UserError(
            f"Cannot read {str(path)!r}: not sound YAML ({one_line(Exception(problem))})."
        ) from error
    if not isinstance(content, dict):
        raise UserError(
            f"Cannot read {str(path)!r}: a YAML mapping with 'names' was due, not {show(content)}."
        )
    return {str(key): value for key, value in content.items()}
