"""A mistake in a configuration file: the place, what is there, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConfigError:
    """One mistake.

        configs/modes/sales.yaml:12 segment.stop_ms: is '500 ms', a str
            write a whole number, e.g. stop_ms: 500

    where  file, line and setting; wrong: what is there; mend: what to write instead
    """

    where: str
    wrong: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: {self.wrong}\n    {self.mend}"


class ConfigErrors(Exception):
    """Every mistake of every file, in the order of the files and lines. Never empty."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))
