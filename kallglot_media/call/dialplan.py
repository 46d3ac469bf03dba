"""Which numbers may be called over a trunk, and how many times: what keeps a stolen password from costing a fortune."""

from __future__ import annotations

from dataclasses import dataclass

from kallglot_media.config.patterns import covers


@dataclass(frozen=True, slots=True)
class DialRules:
    """allow, deny  patterns (`*` any characters, `?` one); what no allow covers, or a deny does, is not called
    max_per_day   calls that may be started in one day; None: no limit
    max_calls     of ours at the same time; None: no limit
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    max_per_day: int | None = None
    max_calls: int | None = None


class Dialplan:
    """Counts what was let through; the day is that of whoever asks."""

    def __init__(self, rules: DialRules) -> None:
        self._rules = rules
        self._day = -1
        self._today = 0
        self._open: set[str] = set()

    def allows(self, number: str) -> bool:
        """Whether the number itself may be called."""
        asked = tuple(number)
        return any(covers(pattern, asked) for pattern in self._rules.allow) and not any(
            covers(pattern, asked) for pattern in self._rules.deny
        )

    def objection(self, number: str, day: int) -> str | None:
        """Why `number` may not be called now, None when it may. day: counts days, e.g. since 1970."""
        rules = self._rules
        if not self.allows(number):
            return "the number is not allowed: see dial.allow of the trunk"
        if rules.max_calls is not None and len(self._open) >= rules.max_calls:
            return f"dial.max_calls: {rules.max_calls} calls are open"
        if rules.max_per_day is not None and self._count(day) >= rules.max_per_day:
            return f"dial.max_per_day: {rules.max_per_day} calls were made today"
        return None

    def began(self, call: str, day: int) -> None:
        """A call that objection() had nothing against was started."""
        self._count(day)
        self._today += 1
        self._open.add(call)

    def ended(self, call: str) -> None:
        """It is over."""
        self._open.discard(call)

    @property
    def has_day_limit(self) -> bool:
        """Whether calls are counted against a day's limit."""
        return self._rules.max_per_day is not None

    def made_on(self, day: int) -> int:
        """Calls that were started on this day."""
        return self._count(day)

    def remember(self, day: int, calls: int) -> None:
        """What was counted before a restart; never fewer than are counted now."""
        self._today = max(calls, self._today) if day == self._day else calls
        self._day = day

    def _count(self, day: int) -> int:
        if day != self._day:
            self._day, self._today = day, 0
        return self._today
