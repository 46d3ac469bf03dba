"""SRTP against the RFC's own numbers, and through the plane: keys from the SDP and from a handshake."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kallglot_media.media.dtls import Dtls, identity
from kallglot_media.media.messages import CloseLeg, DtlsPeer, SetRemote, SrtpKeys
from kallglot_media.media.rows import LOCKED_BYTES, PACKET_BYTES
from kallglot_media.media.srtp import PROFILES, Srtp, lock_all, unlock_all
from kallglot_media.modes.plan import ECHO, Party
from kallglot_media.rtp.packet import RtpPacket
from kallglot_media.rtp.rtcp import Description, Goodbye, ReceiverReport, build_compound, parse_compound
from kallglot_media.sdp.crypto import SUITES
from tests.support.studio import FRAME, Studio, tone

VECTORS = Path(__file__).parents[1] / "torture" / "rfc7714" / "rtp-vectors.txt"
PLAIN = bytes.fromhex(
    "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e2070617274657320747265 73".replace(
        " ", ""
    )
)
SALT = bytes.fromhex("517569642070726f2071756f")
PEER = ("192.0.2.9", 4000)
REPORT = build_compound((ReceiverReport(7), Description(7, "peer@example"), Goodbye((7,))))


def keys_of(suite: str, first: int = 1) -> SrtpKeys:
    size = SUITES[suite]
    return SrtpKeys(suite, bytes(range(first, first + size)), bytes(range(first + 100, first + 100 + size)))


def mirrored(keys: SrtpKeys) -> SrtpKeys:
    """The same call, as the peer sees it."""
    return SrtpKeys(keys.suite, keys.receive_key, keys.send_key)


# ── the cipher ───────────────────────────────────────────────────────────────────


def gcm(key: bytes, salt: bytes, packet: bytes) -> bytes:
    """RFC 7714 section 8 with rollover counter 0, for a packet without CSRC and extension."""
    padded = bytes(2) + packet[8:12] + bytes(4) + packet[2:4]
    nonce = bytes(a ^ b for a, b in zip(padded, salt, strict=True))
    return packet[:12] + AESGCM(key).encrypt(nonce, packet[12:], packet[:12])


def derived(master_key: bytes, master_salt: bytes, label: int, size: int) -> bytes:
    """RFC 3711 section 4.3.1, key derivation rate 0; a GCM salt of 12 bytes is padded at its end (RFC 7714 11)."""
    salt = bytearray(master_salt.ljust(14, b"\0"))
    salt[7] ^= label
    encryptor = Cipher(algorithms.AES(master_key), modes.CTR(bytes(salt) + bytes(2))).encryptor()
    return encryptor.update(bytes(size))


@pytest.mark.parametrize(("section", "key_bytes"), [("16.1.1.", 16), ("16.2.1.", 32)])
def test_what_srtp_does_here_is_what_rfc_7714_says(section: str, key_bytes: int) -> None:
    """The RFC's vectors begin after key derivation, libsrtp before it: `gcm` is held to the one, libsrtp to `gcm`."""
    text = VECTORS.read_text("ascii").split(section, 1)[1]
    wanted = re.search(r"Encrypted and tagged packet:\s+((?:[0-9a-f]{4,8}\s+)+)", text)
    assert wanted is not None
    assert gcm(bytes(range(key_bytes)), SALT, PLAIN) == bytes.fromhex("".join(wanted[1].split()))

    suite = f"AEAD_AES_{8 * key_bytes}_GCM"
    keys = keys_of(suite)
    master_key, master_salt = keys.send_key[:key_bytes], keys.send_key[key_bytes:]
    session_key, session_salt = derived(master_key, master_salt, 0, key_bytes), derived(master_key, master_salt, 2, 12)
    assert Srtp(keys).protect(PLAIN) == gcm(session_key, session_salt, PLAIN)


def test_the_suites_of_sdp_are_those_that_media_has() -> None:
    assert set(SUITES) == set(PROFILES)


@pytest.mark.parametrize("suite", list(SUITES))
def test_forged_and_replayed_packets_are_refused(suite: str) -> None:
    keys = keys_of(suite)
    ours, theirs = Srtp(keys), Srtp(mirrored(keys))
    report = REPORT
    locked, locked_report = theirs.protect(PLAIN), theirs.protect_rtcp(report)
    forged = locked[:-1] + bytes([locked[-1] ^ 1])
    assert ours.unprotect(forged) is None
    assert ours.unprotect(locked) == PLAIN
    assert ours.unprotect(locked) is None, "a second time"
    assert ours.unprotect_rtcp(locked_report) == report
    assert ours.unprotect_rtcp(locked_report) is None
    assert Srtp(keys_of(suite, first=9)).unprotect(locked) is None
    for size in range(len(locked)):
        assert ours.unprotect(locked[:size]) is None
        assert ours.unprotect_rtcp(locked[:size]) is None


@pytest.mark.parametrize("suite", list(SUITES))
def test_many_at_once_is_what_one_at_a_time_is(suite: str) -> None:
    """To the bit, over the turn of the sequence numbers, with forged and replayed ones in between."""
    count, keys = 3, keys_of(suite)
    ours, theirs = [Srtp(keys) for _ in range(count)], [Srtp(mirrored(keys)) for _ in range(count)]
    alone, other = [Srtp(keys) for _ in range(count)], [Srtp(mirrored(keys)) for _ in range(count)]
    dice = np.random.default_rng(5)
    for tick in range(40):
        packets = np.zeros((count, LOCKED_BYTES), np.uint8)
        for n in range(count):
            sound = dice.integers(0, 256, FRAME, np.uint8).tobytes()
            packet = RtpPacket(0, (65_520 + tick + n) & 0xFFFF, 160 * tick, 7 + n, sound)
            packets[n, :PACKET_BYTES] = np.frombuffer(packet.serialize(), np.uint8)
        plain = [packet[:PACKET_BYTES].tobytes() for packet in packets]
        sizes = lock_all(ours, packets, PACKET_BYTES)
        locked = [packet[:size].tobytes() for packet, size in zip(packets, sizes, strict=True)]
        assert locked == [it.protect(packet) for it, packet in zip(alone, plain, strict=True)]
        for again in range(2):
            came = packets.copy()
            if tick % 5 == 0:
                came[tick % count, 40] ^= 1
            wanted = [
                it.unprotect(packet[:size].tobytes()) for it, packet, size in zip(other, came, sizes, strict=True)
            ]
            opened = unlock_all(theirs, came, sizes)
            got = [None if size < 0 else packet[:size].tobytes() for packet, size in zip(came, opened, strict=True)]
            assert got == wanted
            assert again or sum(it is None for it in got) == (tick % 5 == 0)


def test_keys_do_not_show() -> None:
    keys = keys_of("AES_CM_128_HMAC_SHA1_80")
    remote = SetRemote("l", *PEER, "PCMU", 0, 0, keys=keys)
    for text in (repr(keys), repr(remote)):
        assert "AES_CM_128" in text
        assert repr(keys.send_key) not in text
        assert repr(keys.receive_key) not in text


# ── through the plane ────────────────────────────────────────────────────────────


class Line:
    """One encrypted leg of an echo session, and its peer."""

    def __init__(self, **remote: object) -> None:
        self.studio = Studio()
        self.studio.session(plan=ECHO)
        self.peer = self.studio.leg("c", Party.CUSTOMER)
        self.agree(**remote)
        self.out: list[bytes] = []

    def agree(self, **remote: object) -> None:
        self.studio.apply(self.studio.remote(self.peer, **remote))

    def step(self, *datagrams: bytes) -> list[bytes]:
        for datagram in datagrams:
            self.studio.send(self.peer, datagram)
        self.studio.now_s += 0.02
        sent = [data for _, data in self.studio.plane.tick(self.studio.now_s)]
        self.out += sent
        return sent

    def counters(self) -> dict[str, int]:
        leg = self.studio.plane._roster.by_slot[self.peer.slot]
        assert leg is not None
        return leg.stats().counters


@pytest.mark.parametrize("suite", list(SUITES))
def test_an_encrypted_call_is_heard_and_only_by_its_peer(suite: str) -> None:
    keys = keys_of(suite)
    line, theirs = Line(keys=keys), Srtp(mirrored(keys))
    for n in range(20):
        line.step(theirs.protect(line.peer.packet(tone(20)[n * FRAME : (n + 1) * FRAME])))
    packets = [theirs.unprotect(data) for data in line.out]
    line.peer.received = [RtpPacket.parse(data) for data in packets if data is not None]
    assert len(line.peer.received) == 20
    assert np.abs(line.peer.heard()).max() > 7000
    line.step(line.peer.packet(tone(1)))
    assert line.counters()["srtp_refused"] == 1


def test_rtcp_is_encrypted_too_and_goes_where_it_is_wanted() -> None:
    keys = keys_of("AES_CM_128_HMAC_SHA1_80")
    for more, port, from_rtp_port in (
        ({}, 4003, False),
        ({"rtcp_port": 5009}, 5009, False),
        ({"rtcp_mux": True}, 4002, True),
    ):
        line, theirs = Line(keys=keys, **more), Srtp(mirrored(keys))
        report = theirs.protect_rtcp(REPORT)
        if from_rtp_port:
            line.step(report)
        else:
            line.studio.plane.receive_rtcp(line.peer.slot, report, line.peer.address, line.studio.now_s)
        assert line.counters()["rtcp_bye"] == 1
        line.studio.apply(CloseLeg("c"))
        [sent] = line.studio.plane.take_rtcp()
        assert (sent.remote, sent.from_rtp_port) == (("192.0.2.9", port), from_rtp_port)
        opened = theirs.unprotect_rtcp(sent.datagram)
        assert opened is not None
        assert isinstance(parse_compound(opened)[-1], Goodbye)


def test_new_keys_by_a_new_agreement() -> None:
    suite = "AEAD_AES_128_GCM"
    first, second = keys_of(suite), keys_of(suite, first=60)
    line, theirs = Line(keys=first), Srtp(mirrored(first))
    line.step(theirs.protect(line.peer.packet(tone(1))))
    line.agree(keys=first)  # the same again: counters go on, and nothing is sent twice under one index
    line.step(theirs.protect(line.peer.packet(tone(1))))
    assert all(theirs.unprotect(data) for data in line.out)
    line.agree(keys=SrtpKeys(suite, first.send_key, second.receive_key))
    theirs = theirs.goes_on(SrtpKeys(suite, second.receive_key, first.send_key))
    line.out.clear()
    line.step(theirs.protect(line.peer.packet(tone(1))))
    assert all(theirs.unprotect(data) for data in line.out)
    assert "srtp_refused" not in line.counters()
    line.agree()
    assert RtpPacket.parse(line.step()[0]).payload_type == 0, "not encrypted any longer, because it was agreed so"


# ── the handshake ────────────────────────────────────────────────────────────────


def peer_named(fingerprint: str, *, we_begin: bool) -> DtlsPeer:
    name, digits = fingerprint.split()
    return DtlsPeer(name, digits, we_begin)


@pytest.mark.parametrize("we_begin", [True, False])
def test_a_handshake_makes_the_keys(we_begin: bool) -> None:
    ours = identity().fingerprint
    theirs = Dtls(peer_named(ours, we_begin=not we_begin))
    line = Line(dtls=peer_named(ours, we_begin=we_begin))
    for _ in range(10):
        assert not any(128 <= data[0] <= 191 for data in line.out), "nothing goes out before there are keys"
        sent = line.step(*theirs.take_datagrams())
        for datagram in sent:
            if 20 <= datagram[0] <= 63:
                theirs.receive(datagram)
        if theirs.keys is not None and line.counters().get("dtls_done"):
            break
    assert theirs.keys is not None
    line.step(*theirs.take_datagrams())
    srtp = Srtp(theirs.keys)
    line.out.clear()
    line.step(srtp.protect(line.peer.packet(tone(1))))
    assert len(line.out) == 1
    assert srtp.unprotect(line.out[0]) is not None
    assert "srtp_refused" not in line.counters()


def test_another_certificate_gets_no_keys() -> None:
    ours = identity().fingerprint
    theirs = Dtls(peer_named(ours, we_begin=True))
    wrong = DtlsPeer("sha-256", ":".join(["00"] * 32), we_begin=False)
    line = Line(dtls=wrong)
    for _ in range(8):
        for datagram in line.step(*theirs.take_datagrams()):
            theirs.receive(datagram)
    assert line.counters()["dtls_failed"] == 1
    assert not any(128 <= data[0] <= 191 for data in line.out)


def test_nobody_else_shakes_hands() -> None:
    line = Line(dtls=peer_named(identity().fingerprint, we_begin=False))
    stranger = Dtls(peer_named(identity().fingerprint, we_begin=True))
    for datagram in stranger.take_datagrams():
        line.studio.send(line.peer, datagram, ("203.0.113.66", 4000))
    assert line.step() == []
    assert line.counters()["source"] == 1


def test_any_bytes_leave_a_handshake_and_a_call_alone() -> None:
    dice = np.random.default_rng(5764)
    line = Line(dtls=peer_named(identity().fingerprint, we_begin=False))
    for n in range(300):
        body = dice.integers(0, 256, int(dice.integers(0, 200)), np.uint8).tobytes()
        line.step((bytes([20 + n % 44]) if n % 2 else b"") + body)
    assert not any(data and 128 <= data[0] <= 191 for data in line.out)
