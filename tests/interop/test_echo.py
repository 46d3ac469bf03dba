"""sip:echo@ with baresip: both laws, both transports, and what the server writes about it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import pytest

from tests.support.baresip import Baresip
from tests.support.correlate import gaps, match
from tests.support.processes import pass_time
from tests.support.server import Server, read_json
from tests.support.waves import babble, read_wav, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback]

CALLS: tuple[tuple[str, Literal["udp", "tcp"]], ...] = (
    ("PCMU/8000/1", "udp"),
    ("PCMA/8000/1", "udp"),
    ("PCMU/8000/1", "tcp"),
    ("PCMA/8000/1", "tcp"),
)
SAID_S = 4.0


@pytest.mark.feature("baresip", "PCMU and PCMA over UDP and TCP")
def test_every_codec_and_transport_comes_back_as_it_went(server: Server, tmp_path: Path) -> None:
    said = [babble(SAID_S, seed=20 + index) for index in range(len(CALLS))]
    with ExitStack() as stack:
        phones = [
            stack.enter_context(
                Baresip(
                    tmp_path / f"{index}",
                    f"u{index}",
                    microphone=script(1.0, said[index], 60.0),
                    codecs=codec,
                    transport=transport,
                )
            )
            for index, (codec, transport) in enumerate(CALLS)
        ]
        for phone in phones:
            phone.dial(server.uri("echo", phone.transport))
        for phone in phones:
            phone.wait_for("CALL_ESTABLISHED")
        pass_time(SAID_S + 2.0)
        for phone in phones:
            phone.hang_up()
        for call, phone, sound in zip(CALLS, phones, said, strict=True):
            heard = phone.heard().pcm
            found = match(sound, heard)
            assert found.overlap_s == SAID_S, f"{call}: {found}"
            assert found.window_median >= 0.95, f"{call}: {found}"
            assert found.gain_db == pytest.approx(0, abs=0.5), f"{call}: {found}"
            assert gaps(heard, shortest_s=0.1) == [], call


def test_the_recording_of_an_echo_call_holds_what_was_said(server: Server, tmp_path: Path) -> None:
    said = babble(2.0, seed=30)
    before = len(server.sessions())
    with Baresip(tmp_path / "a", "alice", microphone=script(0.5, said, 60.0)) as alice:
        alice.dial(server.uri("echo"))
        alice.wait_for("CALL_ESTABLISHED")
        pass_time(3.0)
        alice.hang_up()
        folder = server.session(count=before + 1)
    facts = read_json(folder / "session.json")
    assert facts["end_reason"] == "customer_hangup"
    pcm, rate_hz = read_wav(folder / "customer.wav")
    assert rate_hz == 8000
    assert match(said, pcm[:, 0]).window_median >= 0.99
    assert facts["samples"] == len(pcm)
