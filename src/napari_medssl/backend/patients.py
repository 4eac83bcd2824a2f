"""Whose slide it is: from a table or from the file's name. Nothing is guessed."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_medssl._errors import UserError
from napari_medssl.io.limits import one_line

_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Patients:
    """Says the patient of a slide.

    Attributes
    ----------
    by_name
        Patients by file name, or by the name without its suffix.
    rule
        Searched for in the file name; its first group, or all of it, is the patient.
    """

    by_name: Mapping[str, str] = field(default_factory=dict)
    rule: re.Pattern[str] | None = None

    def of(self, path: str) -> str:
        """Return the patient of the slide at a path, "" if nothing says whose it is."""
        name = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
        for known in (name, Path(name).stem):
            if known in self.by_name:
                return self.by_name[known]
        found = None if self.rule is None else self.rule.search(name)
        return "" if found is None else (found.group(1 if found.re.groups else 0) or "")


def read_patients(table: Path | None, rule: str) -> Patients:
    """Return what a CSV file with the columns `slide` and `patient`, and a rule, say.

    Raises
    ------
    UserError
        If the file cannot be read or has other columns, or the rule is no regular expression.
    """
    try:
        pattern = re.compile(rule) if rule else None
    except re.error as error:
        raise UserError(
            f"--patient-rule {rule!r} is no regular expression ({one_line(error)}). Write for "
            "example '^(TCGA-..-....)'."
        ) from None
    if table is None:
        return Patients(rule=pattern)
    try:
        if table.stat().st_size > _MOST_BYTES:
            raise UserError(f"The table {str(table)!r} is too large to name patients.")
        with table.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            if not {"slide", "patient"} <= set(rows.fieldnames or ()):
                raise UserError(
                    f"The table {table.name!r} has the columns {', '.join(rows.fieldnames or ())}; "
                    "due are slide (a file name) and patient."
                )
            by_name = {(row["slide"] or "").strip(): (row["patient"] or "").strip() for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"The table {str(table)!r} cannot be read: {one_line(error)}.") from None
    return Patients(by_name, pattern)
