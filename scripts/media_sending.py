"""What sending costs: one `sendto` for each packet, io_uring for all, and sendmmsg, which knows one socket only."""

from __future__ import annotations

import ctypes
import socket
import time
from collections.abc import Callable

import numpy as np

from kallglot_media.media.rows import PACKET
from kallglot_media.media.sockets import RingSockets
from kallglot_media.media.uring import Uring

PACKETS = 400
ROUNDS = 200


class _IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _MsgHdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p), ("name_size", ctypes.c_uint32), ("iov", ctypes.POINTER(_IoVec)),
        ("iov_count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )  # fmt: skip


class _MMsgHdr(ctypes.Structure):
    _fields_ = (("header", _MsgHdr), ("sent", ctypes.c_uint))


def sending_table() -> str:
    """µs per packet of 172 bytes to a socket on loopback that throws it away."""
    payload = bytes(172)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        to = sink.getsockname()
        own = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(PACKETS)]
        many = _us(lambda: [there.sendto(payload, to) for there in own])
        ringed = _us(_with_ring(own, to))
        one = own[0]
        single = _us(lambda: [one.sendto(payload, to) for _ in own])
        one.connect(to)
        batch = _batch(payload)
        libc = ctypes.CDLL(None, use_errno=True)
        together = _us(lambda: libc.sendmmsg(one.fileno(), batch, PACKETS, 0))
        for there in own:
            there.close()
    return (
        "| sending 400 packets | µs per packet |\n|---|---|\n"
        f"| io_uring, 400 sockets (what the plane does where it can) | {ringed:.2f} |\n"
        f"| `sendto`, 400 sockets | {many:.2f} |\n| `sendto`, one socket | {single:.2f} |\n"
        f"| `sendmmsg` through ctypes, one socket | {together:.2f} |\n"
    )


def _with_ring(own: list[socket.socket], to: tuple[str, int]) -> Callable[[], object]:
    try:
        sockets = RingSockets(Uring())
    except OSError:
        return lambda: time.sleep(1.0)  # none here: a number that nobody takes for one
    for slot, there in enumerate(own):
        sockets.open(slot, there)
        sockets.set_remote(slot, to)
    slots, packets = np.arange(len(own)), np.zeros(len(own), PACKET)
    return lambda: sockets.send(slots, packets)


def _batch(payload: bytes) -> ctypes.Array[_MMsgHdr]:
    buffer = ctypes.create_string_buffer(payload, len(payload))
    part = _IoVec(ctypes.cast(buffer, ctypes.c_void_p), len(payload))
    batch = (_MMsgHdr * PACKETS)()
    for message in batch:
        message.header.iov = ctypes.pointer(part)
        message.header.iov_count = 1
    return batch


def _us(send: object) -> float:
    """The best of many rounds: what else runs makes single ones slow."""
    assert callable(send)
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        send()
        best = min(best, time.perf_counter() - start)
    return best / PACKETS * 1e6
