"""Which route a call takes: numbers, callers, headers, hours; and `kallglot-media route`, which says why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kallglot_media.cli import app
from kallglot_media.cli_route import asked_of
from kallglot_media.config import load_config
from kallglot_media.config.hours import Hours
from kallglot_media.config.routes import Asked
from tests.config.conftest import Write

ROUTES = """\
routes:
  - {called: "+49301*", caller: "+43*", mode: modes/m.yaml, languages: [de, fr]}
  - {called: "+49301*", headers: {X-Queue: "sales*"}, mode: modes/m.yaml, to: "sip:sales@192.0.2.5"}
  - called: "+49301*"
    hours:
      timezone: Europe/Berlin
      open: [{from: "09:00", until: "17:00"}, {days: [fri], from: "22:00", until: "02:00"}]
    mode: modes/m.yaml
  - {called: "+49301*", service: echo}
"""
NOON = datetime(2026, 11, 30, 11, 0, tzinfo=UTC)  # a Monday


def at(text: str) -> Asked:
    return Asked(now=datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (Asked("+4366012", now=NOON), 0),
        (Asked("+49177", {"x-queue": "sales-de"}, NOON), 1),
        (Asked("+49177", {"x-queue": "support"}, NOON), 2),
        (Asked("", {}, NOON), 2),
        (at("2026-11-30T08:59+01:00"), 3),
        (at("2026-11-30T09:00+01:00"), 2),
        (at("2026-11-30T17:00+01:00"), 3),
        (at("2026-12-04T23:00+01:00"), 2),
        (at("2026-12-05T01:59+01:00"), 2),
        (at("2026-12-05T02:00+01:00"), 3),
        (at("2026-12-05T12:00+01:00"), 3),
    ],
)
def test_the_first_route_whose_conditions_hold_takes_the_call(write: Write, asked: Asked, index: int) -> None:
    config = load_config(write(r=ROUTES))
    assert config.route_for("+493012", asked) is config.routes[index]


def test_hours_follow_the_clock_of_their_zone_through_summer_time() -> None:
    hours = Hours.model_validate(
        {"timezone": "Europe/Berlin", "open": ({"from": "09:00", "until": "24:00", "days": ("mon",)},)}
    )
    assert hours.holds(datetime(2026, 7, 6, 7, 0, tzinfo=UTC))
    assert not hours.holds(datetime(2026, 11, 30, 7, 30, tzinfo=UTC))
    assert hours.holds(datetime(2026, 11, 30, 22, 59, tzinfo=UTC))


def run(path: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["route", *arguments, "--config", str(path)])
    return result.exit_code, result.output


def test_route_says_which_and_why_and_where_it_leads(write: Write) -> None:
    path = write(r=ROUTES)
    code, said = run(path, "+493012", "--header", "X-Queue: sales", "--caller", "+4917")
    assert code == 0
    assert "passes   routes[0] '+49301*': caller is '+43*', the call is from '+4917'" in said
    assert "takes it routes[1] '+49301*': called is '+49301*', header X-Queue is 'sales*'" in said
    assert "leads to  sip:sales@192.0.2.5" in said
    code, said = run(path, "+493012", "--at", "2026-11-29T12:00+01:00", "--json")
    found = json.loads(said)
    assert found["mode"] == "service echo"
    assert found["steps"][2]["why"].startswith("closed at Sun 12:00")


def test_route_of_nobody_says_so(write: Write) -> None:
    code, said = run(write(r=ROUTES), "110")
    assert code == 2
    assert "no route takes '110': the call gets 404" in said


@pytest.mark.parametrize(("option", "value"), [("--at", "noon"), ("--header", "sales")])
def test_a_wrong_question_is_mended(write: Write, option: str, value: str) -> None:
    code, said = run(write(r=ROUTES), "1", option, value)
    assert code == 2
    assert f"{option}: is '{value}'" in said


def test_a_time_without_a_zone_is_of_this_machine() -> None:
    assert asked_of("", (), "2026-11-29T12:00").now.tzinfo is not None
