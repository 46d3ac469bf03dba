"""A set through a real call: SIP, RTP, codec, loss and jitter, and the same numbers as without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kallglot_media.cli import app

SHIPPED = Path(__file__).parents[1] / "data" / "speech"

pytestmark = [pytest.mark.loopback, pytest.mark.real_time, pytest.mark.engines]


def test_a_call_with_loss_is_scored_beside_the_bare_engines(tmp_path: Path) -> None:
    options = ["--limit", "2", "--loss", "3", "--jitter", "30", "--codec", "PCMA", "--out", str(tmp_path), "--json"]
    ran = CliRunner().invoke(app, ["eval", str(SHIPPED), *options])
    assert ran.exit_code == 0, ran.output
    bare, called = (
        {one["pair"]: one for one in json.loads(ran.stdout)["scores"] if bool(one["way"]["policy"]) is through_call}
        for through_call in (False, True)
    )
    assert set(bare) == set(called) == {"de→en", "en→de"}
    for pair, one in called.items():
        assert one["samples"] == bare[pair]["samples"] == 2
        assert one["word_errors"] < 50, one["texts"]
        assert one["stream_laal_ms"] > 0
        assert one["ear_voice_ms"] > one["gap_ms"] > 0
    reports = sorted(tmp_path.rglob("phones/*.json"))
    assert len(reports) == 2
    for report in reports:
        rtp = json.loads(report.read_text())["rtp"]
        assert 0 < rtp["withheld_packets"] < rtp["sent_packets"] / 10
