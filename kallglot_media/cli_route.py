"""`kallglot-media route NUMBER`: which route a call takes, why, and why not the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from kallglot_media.cli_common import UserError
from kallglot_media.config import Config
from kallglot_media.config.modes import AnyMode
from kallglot_media.config.reader import shown
from kallglot_media.config.routes import Asked, Route


@dataclass(frozen=True, slots=True)
class Step:
    """One route that was looked at. why: of its being taken or passed over."""

    route: str
    taken: bool
    why: str


@dataclass(frozen=True, slots=True)
class Explained:
    """What becomes of a call. mode, languages, leads_to: of the route that takes it; None without one."""

    called: str
    steps: tuple[Step, ...]
    mode: str | None = None
    languages: tuple[str, ...] = ()
    leads_to: str | None = None


def asked_of(caller: str, headers: Iterable[str], at: str | None) -> Asked:
    """What the command line says of a call. headers: "Name: value"; at: ISO 8601. Raises UserError."""
    pairs = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise UserError(f"--header: is {header!r}; write it as it stands in the INVITE, e.g. 'X-Queue: sales'")
        pairs[name.strip().lower()] = value.strip()
    try:
        now = datetime.now(UTC) if at is None else datetime.fromisoformat(at)
    except ValueError:
        raise UserError(f"--at: is {at!r}; write a time, e.g. 2026-11-29T18:30+01:00") from None
    return Asked(caller, pairs, now if now.tzinfo else now.astimezone())


def explain_route(config: Config, called: str, asked: Asked) -> Explained:
    """From the top to the route that takes the call."""
    steps: list[Step] = []
    for index, route in enumerate(config.routes):
        name = f"routes[{index}] '{route.called}'"
        objection = route.objection(called, asked)
        if objection is not None:
            steps.append(Step(name, False, objection))
            continue
        steps.append(Step(name, True, _why(route)))
        mode = config.modes.get(route.mode) if route.mode else None
        if mode is None:
            return Explained(called, tuple(steps), f"service {route.service}", route.languages or ())
        languages = route.languages or (mode.source_language, mode.target_language or mode.source_language)
        return Explained(called, tuple(steps), f"{mode.mode} ({shown(route.mode or config.path)})", languages,
                         _leads_to(route, mode))  # fmt: skip
    return Explained(called, tuple(steps))


def _why(route: Route) -> str:
    conditions = [f"called is '{route.called}'"]
    if route.caller is not None:
        conditions.append(f"caller is '{route.caller}'")
    conditions += [f"header {name} is '{value}'" for name, value in route.headers.items()]
    if route.hours is not None:
        conditions.append("it is open (hours)")
    return ", ".join(conditions)


def _leads_to(route: Route, mode: AnyMode) -> str:
    if route.to is not None:
        return str(route.to)
    places = [str(target.to) if target.to else f"{target.number} over {target.trunk}" for _, target in mode.targets()]
    return ", then ".join(places) or "the AI alone"
