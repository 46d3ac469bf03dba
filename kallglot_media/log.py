"""Log lines: for people on a terminal, as JSON for machines.

A line about a call starts with `call=<id>` and a sign: `<` came in, `>` went out, `=` new state,
`x` dropped, and why. What was said, dialled or typed is in no line: such fields show as "…".

    log = CallLog("sess_01J…")
    log.into("INVITE", source="192.0.2.20:5060")      # call=sess_01J… < INVITE source=192.0.2.20:5060
    log.drop("RTP", why="not from the peer")          # call=sess_01J… x RTP why='not from the peer'
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

PRIVATE_FIELDS = frozenset({"text", "words", "said", "translation", "dialled", "digit", "digits", "typed", "password"})
"""Fields that are never written out, whoever logs them by mistake."""

_LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

CHATTY_LIBRARIES = ("alembic",)
"""Libraries whose every step is an info line; their warnings are ours to see."""

Event = MutableMapping[str, Any]


def configure(level: str = "info", style: str = "auto", *, stream: TextIO | None = None) -> None:
    """Set up logging of this process, that of libraries too.

    level  "debug", "info", "warning" or "error"
    style  "console", "json", or "auto": console when `stream` is a terminal
    stream standard error when left out
    """
    out = sys.stderr if stream is None else stream
    as_json = style == "json" or (style == "auto" and not out.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S.%f", utc=as_json),
        _hide_private,
    ]
    last: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, _json_sign, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if as_json
        else [_printable, _console_sign, _console(out)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=max(_LEVELS[level], logging.INFO), handlers=[handler], force=True)
    for name in CHATTY_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


def _console(out: TextIO) -> structlog.dev.ConsoleRenderer:
    """Plain tracebacks: the pretty ones print local variables, and those hold what was said."""
    return structlog.dev.ConsoleRenderer(
        colors=out.isatty(), sort_keys=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
    )


def logger(part: str) -> Any:
    """A logger for a part of the server: `logger("media").info("started", port=20000)`."""
    return structlog.get_logger(part=part)


class CallLog:
    """The log of one call or session."""

    def __init__(self, call_id: str) -> None:
        self._log = structlog.get_logger(call=call_id)

    def into(self, what: str, **fields: object) -> None:
        """Something came in."""
        self._log.info(what, sign="<", **fields)

    def out(self, what: str, **fields: object) -> None:
        """Something went out."""
        self._log.info(what, sign=">", **fields)

    def state(self, what: str, **fields: object) -> None:
        """The call is in a new state."""
        self._log.info(what, sign="=", **fields)

    def drop(self, what: str, *, why: str, **fields: object) -> None:
        """Something was thrown away."""
        self._log.warning(what, sign="x", why=why, **fields)

    def failed(self, what: str, error: BaseException, **fields: object) -> None:
        """A mistake of ours, with its traceback; the call ends."""
        self._log.error(what, sign="x", exc_info=error, **fields)


def _hide_private(_: Any, __: str, event: Event) -> Event:
    for name in PRIVATE_FIELDS & event.keys():
        event[name] = "…"
    return event


def _json_sign(_: Any, __: str, event: Event) -> Event:
    """Time, level, call and sign stand first, whatever order they came in."""
    first = {key: event[key] for key in ("timestamp", "level", "call", "sign", "event") if key in event}
    return first | {key: value for key, value in event.items() if key not in first}


def _console_sign(_: Any, __: str, event: Event) -> Event:
    """ "call=sess_01J… < INVITE" as the event, so that the eye finds call and sign at the same place."""
    call, part, sign = event.pop("call", None), event.pop("part", None), event.pop("sign", None)
    place = f"call={call} " if call else f"{part}: " if part else ""
    event["event"] = f"{place}{sign + ' ' if sign else ''}{event['event']}"
    return event


def _printable(_: Any, __: str, event: Event) -> Event:
    """Peers choose some of these words: no line end of theirs makes a line of ours, no escape moves the cursor."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in value)
    return event
