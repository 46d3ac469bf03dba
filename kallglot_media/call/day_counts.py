"""How many calls each trunk has made today, in a file: a restart must not give a stolen password a new day."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from kallglot_media.call.trunks import Trunks
from kallglot_media.log import logger

log = logger("trunk")


class DayCounts:
    """path: the file; today: the day that `dial.max_per_day` goes by. The file is {trunk: [day, calls]}."""

    def __init__(self, trunks: Trunks, path: Path, today: Callable[[], int]) -> None:
        self._plans = {name: line.dialplan for name, line in trunks.lines.items() if line.dialplan.has_day_limit}
        self._path = path
        self._today = today
        self._saved: dict[str, tuple[int, int]] = {}

    def load(self, now_s: float) -> None:
        """Take over what was counted before a restart; a file that cannot be read is told and left out."""
        if not self._plans or not self._path.exists():
            return
        try:
            for name, (day, calls) in json.loads(self._path.read_text("utf-8")).items():
                if name in self._plans:
                    self._plans[name].remember(int(day), int(calls))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("counts of calls not read", file=str(self._path), why=str(error), mend="today counts anew")

    def save(self, now_s: float) -> None:
        """Write the file when anything changed."""
        counts = {name: (self._today(), plan.made_on(self._today())) for name, plan in self._plans.items()}
        if counts == self._saved:
            return
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_text(json.dumps(counts), "utf-8")
            fresh.replace(self._path)
        except OSError as error:
            log.warning("counts of calls not written", file=str(self._path), why=error.strerror or str(error))
            return
        self._saved = counts
