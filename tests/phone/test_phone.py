"""Two of our phones call each other over loopback: SIP, RTP, script, keys, recording and report."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest

from kallglot_media.errors import SetupError
from kallglot_media.phone.match import find
from kallglot_media.phone.phone import Phone, PhoneSettings
from kallglot_media.phone.report import PhoneReport
from kallglot_media.phone.rough_path import PathRules, RoughPath
from kallglot_media.phone.script import parse_script
from kallglot_media.random_ids import RandomIds
from tests.support.sessions import RATE_HZ, voice, write_wav

pytestmark = [pytest.mark.loopback, pytest.mark.real_time]

HELLO, REPLY = voice(0.8, 21), voice(0.6, 22)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_wav(tmp_path / "hello.wav", HELLO)
    write_wav(tmp_path / "reply.wav", REPLY)
    return tmp_path


def phone(folder: Path, script: str, **settings: object) -> Phone:
    return Phone(PhoneSettings(**settings), parse_script(script, folder), RandomIds())  # type: ignore[arg-type]


async def call(alice: Phone, bob: Phone) -> tuple[PhoneReport, PhoneReport]:
    """Alice calls Bob; both reports when both are done."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        called = group.create_task(bob.listen(ready.set_result))
        calling = group.create_task(alice.call(await ready))
    return calling.result(), called.result()


@pytest.mark.parametrize(("transport", "codec"), [("udp", "PCMU"), ("udp", "PCMA"), ("tcp", "PCMU")])
async def test_a_conversation_is_heard_on_both_sides(folder: Path, transport: str, codec: str) -> None:
    alice = phone(folder, "play hello.wav; wait reply 300ms; hangup", transport=transport, codecs=(codec,))
    bob = phone(folder, "wait reply 300ms; play reply.wav; wait hangup", transport=transport)
    calling, called = await call(alice, bob)
    assert calling.succeeded, calling
    assert called.succeeded, called
    assert (calling.ended_by, called.ended_by) == ("local", "remote")
    assert calling.statuses == [180, 200]
    assert calling.codec == called.codec == codec
    heard_hello, heard_reply = find(HELLO, bob.heard()), find(REPLY, alice.heard())
    assert heard_hello.correlation > 0.995
    assert heard_reply.correlation > 0.995
    for report in (calling, called):
        assert report.rtp.lost_packets == 0
        assert report.rtp.received_packets > 50
        assert report.rtp.refused == {}
        assert report.first_audio_ms is not None
        assert report.first_audio_ms < 500


async def test_playing_times_and_the_recording_share_one_clock(folder: Path) -> None:
    alice = phone(folder, "pause 200ms; play hello.wav; wait reply 200ms; hangup")
    bob = phone(folder, "wait reply 200ms; play reply.wav; wait hangup")
    calling, called = await call(alice, bob)
    played, heard = calling.played[0], find(HELLO, bob.heard())
    assert played.start_sample == 200 * RATE_HZ // 1000
    said_s = calling.clock_start_monotonic_s + played.start_sample / RATE_HZ
    heard_s = called.clock_start_monotonic_s + heard.at_sample / RATE_HZ
    assert -0.025 < heard_s - said_s < 0.5
    assert played.end_sample - played.start_sample == len(HELLO)


async def test_keys_arrive_once_each_and_in_order(folder: Path) -> None:
    alice = phone(folder, "dtmf 1A#1; pause 100ms; hangup")
    bob = phone(folder, "wait hangup")
    calling, called = await call(alice, bob)
    assert called.heard_keys == "1A#1"
    assert calling.succeeded


async def test_the_side_that_is_left_says_what_it_missed(folder: Path) -> None:
    alice = phone(folder, "play hello.wav; hangup")
    bob = phone(folder, "wait hangup within 100ms; wait reply 5s; play reply.wav")
    calling, called = await call(alice, bob)
    assert calling.succeeded
    assert not called.succeeded
    assert [missed.step for missed in called.missed] == [1, 2, 3]


async def test_no_common_codec_is_refused_with_488(folder: Path) -> None:
    alice = phone(folder, "wait hangup", codecs=("PCMU",))
    bob = phone(folder, "wait hangup", codecs=("PCMA",))
    calling, called = await call(alice, bob)
    assert calling.result == "refused"
    assert calling.statuses[-1] == called.statuses[-1] == 488
    assert called.result == "unacceptable"
    assert "PCMU/8000" in called.reason
    assert len(alice.heard()) == 0


async def test_nobody_calls(folder: Path) -> None:
    report = await phone(folder, "wait hangup", wait_s=0.05).listen()
    assert report.result == "not called"
    assert not report.succeeded


async def test_nobody_answers_and_the_call_is_cancelled(folder: Path) -> None:
    alice = phone(folder, "wait hangup", wait_s=0.3)
    bob = phone(folder, "wait hangup", ring_s=30.0, wait_s=5.0)
    calling, called = await call(alice, bob)
    assert calling.result in ("refused", "not answered")
    assert calling.statuses == [180, 487]
    assert called.result == "not called"
    assert called.ended_by == "remote"


async def test_a_port_in_use_is_named(folder: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(SetupError) as caught:
            await phone(folder, "wait hangup", port=port).listen()
    assert caught.value.where == f"udp 127.0.0.1:{port}"


def test_the_report_is_json_with_times_in_ms(tmp_path: Path) -> None:
    report = PhoneReport(uri="sip:a@127.0.0.1")
    report.write(tmp_path / "deep" / "report.json")
    values = json.loads((tmp_path / "deep" / "report.json").read_text())
    assert values["result"] == "not answered"
    assert values["rtp"]["received_packets"] == 0


async def test_a_transport_in_the_address_counts_more_than_the_phones(folder: Path) -> None:
    bob = phone(folder, "wait hangup", transport="tcp")
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        group.create_task(bob.listen(ready.set_result))
        alice = phone(folder, "pause 100ms; hangup", host="")
        report = await alice.call(f"{await ready};transport=tcp")
    assert report.succeeded, report


async def test_both_addresses_are_of_one_kind(folder: Path) -> None:
    with pytest.raises(SetupError) as caught:
        await phone(folder, "wait hangup", host="::1").call("sip:echo@127.0.0.1:5999")
    assert caught.value.where == "--local"


async def test_a_wrong_user_is_said_before_a_port_is_bound(folder: Path) -> None:
    for job in (
        phone(folder, "wait hangup", user="a b").call("sip:echo@127.0.0.1:5999"),
        phone(folder, "wait hangup", user="a b").listen(),
    ):
        with pytest.raises(SetupError, match="--user"):
            await job


async def test_a_bad_network_loses_what_it_is_told_to(folder: Path) -> None:
    path = PathRules(loss=0.25, jitter_ms=50, seed=3)
    alice = phone(folder, "play hello.wav; pause 500ms; hangup", path=path)
    bob = phone(folder, "wait hangup")
    calling, called = await call(alice, bob)
    lost = calling.rtp.withheld_packets
    assert 0.1 < lost / calling.rtp.sent_packets < 0.4
    assert calling.rtp.sent_packets - lost - 5 <= called.rtp.received_packets <= calling.rtp.sent_packets - lost
    assert called.rtp.jitter_ms > 5


def test_the_same_packets_are_lost_again() -> None:
    both = [RoughPath(PathRules(loss=0.3, jitter_ms=40)) for _ in range(2)]
    fates = [[path.delay_s() for _ in range(200)] for path in both]
    assert fates[0] == fates[1]
    assert fates[0].count(None) == both[0].lost
    assert all(0 <= fate < 0.04 for fate in fates[0] if fate is not None)
    assert [RoughPath().delay_s() for _ in range(3)] == [0.0] * 3
