"""Log lines: the call first, a sign, and nothing that was said."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from kallglot_media.log import PRIVATE_FIELDS, CallLog, configure, logger


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    yield
    structlog.reset_defaults()
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def console_lines(level: str = "info") -> io.StringIO:
    out = io.StringIO()
    configure(level, "console", stream=out)
    return out


def json_lines() -> io.StringIO:
    out = io.StringIO()
    configure("info", "json", stream=out)
    return out


def without_time(line: str) -> str:
    return line.split("] ", 1)[1]


def test_a_line_about_a_call_starts_with_the_call_and_a_sign() -> None:
    out = console_lines()
    log = CallLog("sess_1")
    log.into("INVITE", source="192.0.2.20:5060")
    log.out("180 Ringing")
    log.state("answered")
    log.drop("RTP", why="not from the peer")
    assert [without_time(line) for line in out.getvalue().splitlines()] == [
        "call=sess_1 < INVITE source=192.0.2.20:5060",
        "call=sess_1 > 180 Ringing",
        "call=sess_1 = answered",
        "call=sess_1 x RTP why='not from the peer'",
    ]


def test_a_line_of_the_server_names_its_part() -> None:
    out = console_lines()
    logger("server").info("ready", sign="=", after_s=1.2)
    assert without_time(out.getvalue()) == "server: = ready after_s=1.2\n"


def test_words_of_a_peer_make_no_line_and_move_no_cursor() -> None:
    out = console_lines()
    CallLog("sess_1").state("ended\ncall=sess_2 = forged", why="busy\x1b[2J", detail="a\u2028b\x9bc", name="Jürgen")
    assert without_time(out.getvalue()) == (
        "call=sess_1 = ended\\ncall=sess_2 = forged why=busy\\x1b[2J detail=a\\u2028b\\x9bc name=Jürgen\n"
    )


def test_a_machine_gets_one_object_a_line_with_the_same_parts() -> None:
    out = json_lines()
    CallLog("sess_1").into("INVITE", source="192.0.2.20:5060")
    line = json.loads(out.getvalue())
    assert list(line)[1:] == ["level", "call", "sign", "event", "source"]
    assert line["timestamp"].endswith("Z")


def test_auto_is_json_when_nobody_watches() -> None:
    out = io.StringIO()
    configure("info", "auto", stream=out)
    logger("media").info("started", port=20_000)
    assert json.loads(out.getvalue())["part"] == "media"


@pytest.mark.parametrize("field", sorted(PRIVATE_FIELDS))
def test_what_was_said_or_dialled_is_never_written(field: str) -> None:
    for begin in (console_lines, json_lines):
        out = begin()
        CallLog("sess_1").state("turn", **{field: "my card number"})
        assert "card" not in out.getvalue()
        assert "…" in out.getvalue()


def test_a_mistake_of_ours_keeps_its_traceback_but_no_variables() -> None:
    out = console_lines()
    spoken = "my card number"
    try:
        raise ValueError(len(spoken))
    except ValueError as error:
        CallLog("sess_1").failed("turn", error)
    assert "Traceback" in out.getvalue()
    assert "card" not in out.getvalue()


def test_less_than_the_level_is_not_written() -> None:
    out = console_lines("warning")
    CallLog("sess_1").into("INVITE")
    assert out.getvalue() == ""


def test_libraries_that_use_logging_come_out_the_same_way() -> None:
    out = json_lines()
    logging.getLogger("asyncio").warning("slow %s", "callback")
    assert json.loads(out.getvalue())["event"] == "slow callback"


def test_a_library_that_tells_every_step_tells_only_its_warnings() -> None:
    out = json_lines()
    logging.getLogger("alembic.runtime.migration").info("Context impl SQLiteImpl.")
    logging.getLogger("alembic.runtime.migration").warning("an odd table")
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["an odd table"]
