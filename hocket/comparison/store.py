"""Finished rows in a folder: one JSON record per line, so that a comparison that was stopped goes on."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from hocket.comparison.rows import Record
from hocket.errors import FormatError


class Store:
    """The records of a folder, by the keys of their rows."""

    def __init__(self, folder: Path, *, resume: bool) -> None:
        self.path = folder / "rows.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not resume:
                self.path.unlink(missing_ok=True)
            text = self.path.read_bytes() if self.path.exists() else b""
            self.path.write_bytes(text[: text.rfind(b"\n") + 1])  # a line that was not finished goes
        except OSError as error:
            raise FormatError(f"{folder} cannot be used ({error.strerror}); give a writable folder") from None
        self.records = {record.key: record for record in self._read(text.splitlines(keepends=True))}

    def _read(self, lines: Iterable[bytes]) -> Iterable[Record]:
        for line in lines:
            if line.endswith(b"\n"):
                try:
                    yield msgspec.json.decode(line, type=Record)
                except msgspec.DecodeError:
                    continue  # of another version: its row is done again

    def add(self, record: Record) -> None:
        """Keep a record, at once."""
        self.records[record.key] = record
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(record) + b"\n")
