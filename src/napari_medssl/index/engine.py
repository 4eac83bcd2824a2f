"""Another engine for what one machine cannot search: a mirror of a collection in LanceDB.

LanceDB (Apache-2.0) is a library, not a server: its tables are files in a folder or an object store
(s3://, gs://, az://), and a query reads the parts that it needs. For each collection there are

    NAME            a row for each tile: vector (fp16), slide, x, y, size, tissue
    NAME.slides     a row for each slide; `is_whole` once all its tiles are there
    medssl          a row for each collection: its set-up, and how it is searched

They are written by `index.engine_mirror`, and read by `index.engine_search`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from napari_medssl._errors import UserError
from napari_medssl.index.approximate import Reach
from napari_medssl.index.set_up import SetUp
from napari_medssl.io.limits import one_line
from napari_medssl.io.slides.places import local_path

if TYPE_CHECKING:
    import pyarrow as pa

COLLECTIONS = "medssl"
FORMAT = 1
_LANCEDB = "lancedb"
_SCHEMES = ("s3", "gs", "az", "s3+ddb")


@dataclass(frozen=True, slots=True)
class SearchWay:
    """How a mirror is searched.

    Attributes
    ----------
    rows
        Tiles that the index was made of, 0 without one: then all are compared.
    refine
        How many times as many candidates are compared by their full vectors.
    reaches
        As `index.approximate` has them, as measured.
    changed
        Tiles that came or went since it was made, at least.
    """

    rows: int = 0
    refine: int = 0
    reaches: tuple[Reach, ...] = ()
    changed: int = 0

    def reach(self, top: int) -> Reach:
        """Return what is done for the `top` nearest."""
        if not self.reaches:
            return Reach(top, 0, 1.0)
        return next((one for one in self.reaches if top <= one.top), self.reaches[-1])


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """A collection in an engine; `library` is the id of the one that it mirrors, "" if unknown."""

    set_up: SetUp
    encoder_given: str
    way: SearchWay
    library: str = ""

    def fits(self, encoder: str) -> bool:
        """Say whether an encoder's or collection's name, or its file, means this one."""
        known = (self.set_up.encoder, self.set_up.name, self.encoder_given)
        return not encoder or encoder in known or Path(encoder).stem == self.set_up.encoder


class Engine:
    """A LanceDB database.

    Parameters
    ----------
    url
        A folder, or a place in an object store.
    make
        Whether a folder is made if missing.

    Raises
    ------
    UserError
        If lancedb is not installed, or there is no such place.
    """

    def __init__(self, url: str, *, make: bool = False) -> None:
        self.url = url
        try:
            import lancedb
        except ImportError as error:
            raise UserError(
                'An engine needs LanceDB: pip install "napari-medssl[engine]".'
            ) from error
        check_url(url)
        path = local_path(url)
        if path is not None:
            path = path.expanduser().absolute()
            if not make and not path.is_dir():
                raise UserError(
                    f"There is no engine {url!r}. Make one with `medssl mirror --library DIR "
                    "--engine URL`."
                )
        with self.errors_told():
            self._database: Any = lancedb.connect(url if path is None else str(path))

    @contextmanager
    def errors_told(self) -> Iterator[None]:
        """Tell what LanceDB and its store raise, which are plain errors of several kinds.

        Those that were not raised below a call of LanceDB are faults of ours, and stay.
        """
        try:
            yield
        except UserError:
            raise
        except (OSError, RuntimeError, ValueError) as error:
            if not _comes_from(_LANCEDB, error.__traceback__):
                raise
            raise UserError(
                f"The engine {self.url!r} cannot be used: {one_line(error)}. Look at the place and "
                "your rights there, and give the same command again."
            ) from error

    def table(self, name: str, schema: pa.Schema | None = None) -> Any:
        """Return a table; made if a schema is given and it is missing, None if there is none."""
        if name in self._names():
            return self._database.open_table(name)
        return None if schema is None else self._database.create_table(name, schema=schema)

    def entries(self) -> tuple[EngineEntry, ...]:
        """Return the collections that are there.

        Raises
        ------
        UserError
            If a newer version wrote them.
        """
        with self.errors_told():
            table = self.table(COLLECTIONS)
            rows = [] if table is None else table.to_arrow().to_pylist()
        return tuple(_entry(row, self.url) for row in rows)

    def entry(self, encoder: str = "") -> EngineEntry:
        """Return the collection of an encoder, or the only one.

        Raises
        ------
        UserError
            If there is none, or several fit.
        """
        every = self.entries()
        fit = [one for one in every if one.fits(encoder)]
        if len(fit) == 1:
            return fit[0]
        names = ", ".join(one.set_up.name for one in every) or "nothing"
        raise UserError(
            f"The engine {self.url!r} holds {names}; {len(fit)} of them fit encoder {encoder!r}. "
            "Choose one with --encoder, or fill the engine with `medssl mirror`."
        )

    def put_entry(self, entry: EngineEntry) -> None:
        """Note a collection, or how it is searched from now on."""
        import pyarrow as pa

        schema = pa.schema([(name, pa.string()) for name in ("name", "encoder", "set_up", "way")])
        row = {
            "name": entry.set_up.name,
            "encoder": entry.encoder_given,
            "set_up": json.dumps(entry.set_up.to_json()),
            "way": json.dumps({"format": FORMAT, "library": entry.library, **asdict(entry.way)}),
        }
        table = self.table(COLLECTIONS, schema)
        merge = table.merge_insert("name").when_matched_update_all().when_not_matched_insert_all()
        merge.execute(pa.Table.from_pylist([row], schema=schema))

    def _names(self) -> Sequence[str]:
        names: list[str] = []
        page = None
        while True:
            answer = self._database.list_tables(page_token=page)
            names += answer.tables
            page = answer.page_token
            if not page:
                return names


def check_url(url: str) -> None:
    """Raise `UserError` unless an engine may lie at a URL or path of this kind."""
    if local_path(url) is None and url.partition("://")[0].lower() not in _SCHEMES:
        raise UserError(
            f"The engine {url!r} is of a kind that is not known; due is a folder, or a URL "
            f"that begins with one of {', '.join(f'{one}://' for one in _SCHEMES)}."
        )


def tile_schema(dim: int) -> pa.Schema:
    """Return the columns of a row for each tile."""
    import pyarrow as pa

    return pa.schema(
        [
            ("vector", pa.list_(pa.float16(), dim)),
            ("slide", pa.string()),
            ("x", pa.int32()),
            ("y", pa.int32()),
            ("size", pa.int32()),
            ("tissue", pa.float32()),
        ]
    )


def slide_schema() -> pa.Schema:
    """Return the columns of a row for each slide."""
    import pyarrow as pa

    return pa.schema(
        [
            ("fingerprint", pa.string()),
            ("path", pa.string()),
            ("patient", pa.string()),
            ("width", pa.int64()),
            ("height", pa.int64()),
            ("mpp", pa.float64()),
            ("tiles", pa.int64()),
            ("content", pa.string()),
            ("is_whole", pa.bool_()),
        ]
    )


def one_of(column: str, values: Sequence[str]) -> str:
    """Return the condition that a column holds one of some fingerprints."""
    listed = ", ".join(f"'{value}'" for value in values)
    return f"{column} IN ({listed})"


def _comes_from(package: str, trace: TracebackType | None) -> bool:
    """Say whether an error passed through a function of a package."""
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] == package:
            return True
        trace = trace.tb_next
    return False


def _entry(row: Mapping[str, Any], url: str) -> EngineEntry:
    try:
        way = json.loads(row["way"])
        if way["format"] > FORMAT:
            raise UserError(
                f"The engine {url!r} has version {way['format']}; this program reads up to "
                f"{FORMAT}. Update napari-medssl."
            )
        reaches = tuple(
            Reach(int(one["top"]), int(one["nprobe"]), float(one["recall"]))
            for one in way["reaches"]
        )
        return EngineEntry(
            SetUp.from_json(json.loads(row["set_up"])),
            str(row["encoder"]),
            SearchWay(int(way["rows"]), int(way["refine"]), reaches, int(way.get("changed", 0))),
            str(way.get("library", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"The table {COLLECTIONS!r} of the engine {url!r} is not ours ({type(error).__name__})."
            " Name another place."
        ) from error
