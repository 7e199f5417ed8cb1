"""Where something stands in a cluster's TOML file, and errors that say so."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from hocket.cluster.checks import did_you_mean
from hocket.cluster.keys import Key, Kind
from hocket.errors import FormatError, HocketError, UnitError
from hocket.units import shown


class Place(NamedTuple):
    """A table of a file."""

    file: str
    table: str = ""
    """`node 2 ("edge")` for example; empty at the top."""

    def says(self, sentence: str) -> str:
        """A sentence with the place in front."""
        return f"{self.file}: {self.table}{', ' if self.table else ''}{sentence}"

    def bad(self, key: str, sentence: str, kind: type[HocketError] = FormatError) -> HocketError:
        """An error about one key."""
        return kind(self.says(f"key {key!r}: {sentence}"))

    def read(self, key: str, kind: Kind, value: object) -> Any:
        """Read the value of a key.

        Raises:
            FormatError: it is not of that kind.
        """
        try:
            return kind.read(value)
        except UnitError as error:
            raise self.bad(key, str(error)) from None

    def read_fields(self, table: Mapping[str, object], keys: Mapping[str, Key]) -> dict[str, Any]:
        """Read every key of a table that is in `keys`, by the names of the fields."""
        return {
            keys[name].field: self.read(name, keys[name].kind, value) for name, value in table.items() if name in keys
        }

    def check_keys(self, table: Mapping[str, object], known: Collection[str]) -> None:
        """Refuse unknown keys.

        Raises:
            FormatError: with the nearest known key.
        """
        for name in table:
            if name not in known:
                raise FormatError(self.says(f"key {shown(name)} is unknown; {did_you_mean(name, known)}"))
