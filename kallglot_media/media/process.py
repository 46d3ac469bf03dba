"""The media process: sockets and a clock round `MediaPlane`, and nothing else.

    python -m kallglot_media.media.process --socket 5 --settings '{…}'

One thread: wait for control until the tick is due, drain every RTP socket, tick, send. What
comes between two ticks waits in the sockets, with the kernel's time of arrival, because waking
up for it would cost more than treating it. The process ends when control closes the
socket, and finishes the recordings first; signals are control's business and are ignored here.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import secrets
import select
import signal
import socket
import struct
import sys
import time
import traceback

import numpy as np

from kallglot_media.media import dtls, wire
from kallglot_media.media.lanes import Arrivals, Slots
from kallglot_media.media.messages import (
    FromMedia,
    LegOpened,
    LegRefused,
    OpenLeg,
    PlaneStats,
    SendText,
    SetText,
    ToMedia,
)
from kallglot_media.media.outbox import Outbox
from kallglot_media.media.outgoing import Sending
from kallglot_media.media.plane import MediaPlane
from kallglot_media.media.ports import NoPorts, PortPair, Ports
from kallglot_media.media.recorder_thread import Recorder
from kallglot_media.media.roster import PlaneError
from kallglot_media.media.sealed import KEY_VARIABLE, SealError, keys_here
from kallglot_media.media.settings import MediaSettings
from kallglot_media.media.sockets import DATAGRAM_BYTES, open_sockets
from kallglot_media.media.text_lines import TextLines
from kallglot_media.media.ticks import TickClock
from kallglot_media.random_ids import RandomIds

STATS_S = 2.0
"""How often PlaneStats goes to control; it is also the sign of life."""

_IDLE_POLL_S = 0.5
_READ_BYTES = 256 * 1024
_MOST_ROUNDS = 64  # datagrams per socket in one tick: a flood on one port cannot stop the tick
_TIMESPEC = struct.Struct("@ll")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
_FINISH_DEADLINE_S = 10.0
_SCHED_RR_PRIORITY = 10
_NICE = -15
_COLLECT_TICKS = 500
_COLLECT_ROOM_S = 0.010


class MediaProcess:
    """Moves bytes between sockets and the plane; decides nothing but when."""

    def __init__(self, control: socket.socket, settings: MediaSettings) -> None:
        control.setblocking(False)
        self._control = control
        self._outbox = Outbox(control)
        self._frames = wire.FrameReader()
        self._recorder = Recorder(
            longest_line_bytes=settings.recorder_line_mb << 20,
            sync_s=settings.recorder_sync_s,
            keys=sealing_keys(settings),
        )
        self._plane = MediaPlane(settings, RandomIds(), self._recorder, epoch_s=time.time() - time.monotonic())
        self._ports = Ports(
            settings.first_port, settings.last_port, dscp=settings.dscp, start=secrets.randbelow(1 << 16)
        )
        self._texts = TextLines(settings, RandomIds(), self._plane.count)
        self._pairs: dict[int, PortPair] = {}  # by slot
        self._sockets = open_sockets()
        self._rtp_slot: dict[int, int] = {}  # by descriptor
        self._rtp_slots: Slots = np.zeros(0, np.intp)
        self._rtcp_slot: dict[int, tuple[int, socket.socket]] = {}
        self._epoll = select.epoll()
        self._clock = TickClock()
        self._stats_due_s = 0.0
        self._ended = False
        self._settings = settings

    def run(self) -> None:
        """Until control closes its socket."""
        self._recorder.start()
        if self._settings.raise_priority:
            raise_priority()  # after the writer's thread was started: that one stays where it was
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            while not self._ended:
                if self._plane.session_count:
                    self._live()
                else:
                    self._idle()
        except (ConnectionError, wire.WireError) as error:
            if (
                self._plane.session_count
            ):  # without calls there is nothing to tell: control could not start, or was killed
                print(f"media: control is gone: {error}", file=sys.stderr)
        self._finish()

    # ── time ─────────────────────────────────────────────────────────────────────

    def _idle(self) -> None:
        """No session: wait for control, and show signs of life."""
        self._wait(_IDLE_POLL_S)
        self._tell()
        self._recorder.hand_over()
        if self._plane.session_count:
            self._clock.start(time.monotonic())

    def _live(self) -> None:
        """Up to the next tick, and the tick."""
        due_s = self._clock.due_s
        self._wait(0)  # control is heard even when no time is left before the tick: it may say that calls end
        while not self._ended and (wait_s := due_s - time.monotonic()) > 0:
            self._wait(wait_s)
        skipped = self._clock.begin(time.monotonic())
        if skipped:
            self._plane.skip(skipped)
        self._drain()
        self._send(self._plane.step(time.monotonic()))
        if self._texts:
            for shown in self._texts.tick(time.monotonic(), wall_s=time.time()):
                self._outbox.put(shown)
        self._tell()
        self._recorder.hand_over()
        self._collect()

    def _wait(self, wait_s: float) -> None:
        """Until control says something, which is answered at once, or `wait_s` is over."""
        readable, _, _ = select.select([self._control], [], [], wait_s)
        if readable:
            self._read_control()
            self._outbox.flush()

    def _collect(self) -> None:
        """Garbage is collected when there is time, never in the middle of a tick."""
        if self._clock.ticks % _COLLECT_TICKS == 0 and self._clock.due_s - time.monotonic() > _COLLECT_ROOM_S:
            gc.collect(1)

    # ── in ───────────────────────────────────────────────────────────────────────

    def _drain(self) -> None:
        """One datagram of every socket, then one of each that has more, again and again until none has."""
        self._take(*self._sockets.receive(self._rtp_slots, readable=False))  # nearly every peer has sent one
        rtp_slot = self._rtp_slot
        for _ in range(_MOST_ROUNDS - 1):
            ready = [fd for fd, _events in self._epoll.poll(0, 2 * len(rtp_slot) + 1)]
            if not ready:
                return
            slots = [rtp_slot[fd] for fd in ready if fd in rtp_slot]
            if slots:
                self._take(*self._sockets.receive(np.array(slots, np.intp)))
            if len(slots) < len(ready):
                self._drain_rtcp([fd for fd in ready if fd not in rtp_slot])

    def _take(self, arrivals: Arrivals, failed: list[int]) -> None:
        if len(arrivals.slots):
            self._plane.arrive(arrivals)
        for slot in failed:
            # the checksum was wrong: epoll says yes and recv says no, udp(7); or an ICMP error
            self._plane.count(slot, "receive_failed")

    def _drain_rtcp(self, ready: list[int]) -> None:
        unix_to_monotonic_s = time.monotonic() - time.time()
        for fd in ready:
            slot, there = self._rtcp_slot[fd]
            try:
                datagram, ancillary, _flags, source = there.recvmsg(DATAGRAM_BYTES, _ANCILLARY_BYTES)
            except OSError:
                self._plane.count(slot, "receive_failed")
                continue
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
            self._plane.receive_rtcp(slot, datagram, source, seconds + nanoseconds * 1e-9 + unix_to_monotonic_s)

    def _read_control(self) -> None:
        data = self._control.recv(_READ_BYTES)
        if not data:
            self._ended = True
        for body in self._frames.feed(data):
            try:
                self._handle(wire.decode(body))
            except Exception:
                # ours, or control's: it must not end the calls of others
                traceback.print_exc()

    def _handle(self, message: ToMedia | FromMedia) -> None:
        if isinstance(message, OpenLeg):
            self._open_leg(message)
        elif isinstance(message, SetText | SendText):
            with contextlib.suppress(KeyError):  # the leg has just gone
                self._texts.apply(self._plane.slot_of(message.leg_id), message, time.monotonic())
        else:
            self._plane.apply(message, time.monotonic())  # type: ignore[arg-type]
        self._close_freed()

    def _open_leg(self, message: OpenLeg) -> None:
        try:
            pair = self._ports.bind(message.host)
        except NoPorts as error:
            self._outbox.put(LegRefused(message.leg_id, str(error)))
            return
        try:
            self._plane.apply(message, time.monotonic())
        except PlaneError as error:
            pair.close()
            self._outbox.put(LegRefused(message.leg_id, str(error)))
            return
        slot = self._plane.slot_of(message.leg_id)
        self._pairs[slot] = pair
        self._sockets.open(slot, pair.rtp)
        self._rtp_slot[pair.rtp.fileno()] = slot
        self._rtp_slots = np.array(sorted(self._rtp_slot.values()), np.intp)
        self._rtcp_slot[pair.rtcp.fileno()] = (slot, pair.rtcp)
        self._epoll.register(pair.rtp.fileno(), select.EPOLLIN)
        self._epoll.register(pair.rtcp.fileno(), select.EPOLLIN)
        text_port = self._open_text(slot, message) if message.text else 0
        self._outbox.put(LegOpened(message.leg_id, pair.host, pair.port, dtls.identity().fingerprint, text_port))

    def _open_text(self, slot: int, message: OpenLeg) -> int:
        """The port of the leg's text line; 0 when there is none left, for the call does not depend on it."""
        try:
            pair = self._ports.bind(message.host)
        except NoPorts:
            self._plane.count(slot, "text_no_port")
            return 0
        self._texts.open(slot, message.leg_id, pair)
        return pair.port

    # ── out ──────────────────────────────────────────────────────────────────────

    def _send(self, sending: Sending) -> None:
        plane, sockets, pairs = self._plane, self._sockets, self._pairs
        for slot in plane.take_moved():
            if slot in pairs:
                sockets.set_remote(slot, plane.remote_of(slot))
        locked = sending.locked
        failed = sockets.send(sending.slots, sending.packets)
        for slot in [*failed, *sockets.send(locked.slots, locked.packets, locked.sizes)]:
            plane.count(slot, "send_failed")
        for slot, data in sending.others:
            try:
                pairs[slot].rtp.sendto(data, plane.remote_of(slot))
            except OSError:
                plane.count(slot, "send_failed")
        self._send_rtcp()

    def _send_rtcp(self) -> None:
        for report in self._plane.take_rtcp():
            pair = self._pairs[report.slot]
            with contextlib.suppress(OSError):  # a report lost is like a report lost on the way
                (pair.rtp if report.from_rtp_port else pair.rtcp).sendto(report.datagram, report.remote)

    def _close_freed(self) -> None:
        """Close the ports of legs that are no more, after their RTCP BYE."""
        self._send_rtcp()
        for slot in self._plane.take_freed():
            self._texts.close(slot, time.monotonic())
            pair = self._pairs.pop(slot)
            self._sockets.close(slot)
            del self._rtp_slot[pair.rtp.fileno()], self._rtcp_slot[pair.rtcp.fileno()]
            self._rtp_slots = np.array(sorted(self._rtp_slot.values()), np.intp)
            for there in (pair.rtp, pair.rtcp):
                self._epoll.unregister(there.fileno())
            pair.close()

    def _tell(self) -> None:
        """Events and, every few seconds, how the tick keeps time."""
        for event in self._plane.take_events():
            self._outbox.put(event)
        for event in self._recorder.take_events():
            self._outbox.put(event)
        now_s = time.monotonic()
        if now_s >= self._stats_due_s:
            self._stats_due_s = now_s + STATS_S
            self._outbox.put(self._stats())
        self._outbox.flush()

    def _stats(self) -> PlaneStats:
        p99_ms, most_ms = self._clock.take_lateness_ms()
        return PlaneStats(
            legs=self._plane.leg_count,
            sessions=self._plane.session_count,
            ticks=self._clock.ticks,
            skipped=self._clock.skipped,
            late_ticks=dict(self._clock.late_ticks),
            lateness_p99_ms=p99_ms,
            cpu_s=time.process_time(),
            lateness_max_ms=most_ms,
        )

    def _finish(self) -> None:
        """Close every session, write what is queued, and say so as long as control listens."""
        self._plane.close_all(time.monotonic())
        self._close_freed()
        if not self._recorder.stop(_FINISH_DEADLINE_S):
            print(f"media: the disk takes longer than {_FINISH_DEADLINE_S:.0f} s; left to repair", file=sys.stderr)
        with contextlib.suppress(OSError):
            self._tell()
            self._outbox.flush_all(_FINISH_DEADLINE_S)


def raise_priority() -> str:
    """Put this thread above others; returns what the system allowed: "SCHED_RR", "nice" or "normal"."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_SCHED_RR_PRIORITY))
        return "SCHED_RR"
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
        return "nice"
    return "normal"


def sealing_keys(settings: MediaSettings) -> tuple[bytes, ...]:
    """The keys to seal recordings with. Raises SealError when there are to be some and are none."""
    if not settings.seal_recordings:
        return ()
    keys = keys_here()
    if not keys:
        raise SealError(f"recordings are to be sealed, and {KEY_VARIABLE} is not set")
    return keys


def open_control(where: str) -> socket.socket:
    """The stream socket to control: an inherited descriptor by number, or a path to connect to."""
    if where.isdecimal():
        return socket.socket(fileno=int(where))
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    control.connect(where)
    return control


def main() -> None:
    """Run a media process; control starts it."""
    parser = argparse.ArgumentParser(prog="kallglot_media.media.process", description="A media process for control.")
    parser.add_argument("--socket", required=True, help="descriptor number or path of the socket to control")
    parser.add_argument("--settings", default=MediaSettings().to_json(), help="MediaSettings as JSON")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open_control(arguments.socket) as control:
        MediaProcess(control, MediaSettings.from_json(arguments.settings)).run()


if __name__ == "__main__":
    main()
