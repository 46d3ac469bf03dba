"""Play the PROTOS test suite c07-sip (University of Oulu) to a SIP agent: 4,527 wrong INVITEs, each with its teardown.

    python scripts/fuzz_protos.py c07-sip.tar.xz                         an agent in this process, in pretend time
    python scripts/fuzz_protos.py c07-sip.tar.xz --server 127.0.0.1:5060   one that runs, over UDP

The suite is under the GPL and no part of this project: bring the archive of its cases along. A case is a file with a
length, an INVITE and its teardown, with <From-Address> and the like to fill in. Nothing may be raised, nothing may
stay open, and a server that runs must answer OPTIONS after every 20 cases.
"""

from __future__ import annotations

import argparse
import re
import socket
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kallglot_media.sip.agent import SipAgent  # noqa: E402
from kallglot_media.sip.events import IncomingCall, Peer  # noqa: E402
from kallglot_media.sip.settings import AgentSettings  # noqa: E402
from tests.support.counting_ids import CountingIds  # noqa: E402
from tests.support.server import options_request  # noqa: E402

OVER_S = 700.0
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
_LENGTH = re.compile(rb"(\d+) ")


def cases(archive: Path) -> Iterator[tuple[str, list[bytes]]]:
    """(name, messages) of each file, in order."""
    with tarfile.open(archive) as tar:
        members = sorted((member for member in tar if member.isfile()), key=lambda member: member.name)
        for member in members:
            found = tar.extractfile(member)
            assert found is not None
            yield Path(member.name).name, list(_messages(found.read()))


def _messages(data: bytes) -> Iterator[bytes]:
    """`<length> <bytes>`, one after the other."""
    at = 0
    while (match := _LENGTH.match(data, at)) is not None:
        end = match.end() + int(match[1])
        yield data[match.end() : end]
        at = end
        while data[at : at + 1] in (b"\r", b"\n", b" "):
            at += 1


def filled(message: bytes, number: int, *, us: str, host: str, port: int, teardown: str) -> bytes:
    """A message with its blanks filled in. us: "host:port" of the agent; host, port: of whoever sends it."""
    blanks = {
        b"<To>": f"900@{us}",
        b"<From>": f"t@{host}:{port}",
        b"<From-Address>": host,
        b"<From-IP>": host,
        b"<Local-Port>": str(port),
        b"<Branch-ID>": str(number),
        b"<Call-ID>": f"p{number}",
        b"<CSeq>": "1",
        b"<Teardown-Method>": teardown,
    }
    for blank, text in blanks.items():
        message = message.replace(blank, text.encode())
    body = message.partition(b"\r\n\r\n")[2]
    return message.replace(b"<Content-Length>", str(len(body)).encode())


def in_memory(archive: Path) -> None:
    """Answers every second call; CANCEL and BYE by turns."""
    agent = SipAgent(CountingIds(), AgentSettings(longest_ring_s=100, max_calls=10_000))
    agent.set_address("udp", "192.0.2.1", 5060)
    far, now_s, statuses, calls, played = Peer("udp", "192.0.2.9", 5060), 0.0, Counter[str](), 0, 0
    for number, (_, messages) in enumerate(cases(archive)):
        played += 1
        teardown = ("CANCEL", "BYE")[number % 2]
        for message in messages:
            now_s += 0.01
            data = filled(message, number, us="192.0.2.1", host=far.host, port=far.port, teardown=teardown)
            agent.receive(data, far, now_s)
            statuses.update(_drain(agent, now_s))
            for event in agent.take_events():
                if isinstance(event, IncomingCall):
                    calls += 1
                    if calls % 2:
                        agent.answer(event.call, SDP, now_s)
            statuses.update(_drain(agent, now_s))
        while (due_s := agent.next_time_s()) is not None and due_s <= now_s:
            agent.on_time(now_s)
    until_s = now_s + OVER_S
    while (due_s := agent.next_time_s()) is not None and due_s <= until_s:
        agent.on_time(due_s)
        _drain(agent, due_s)
        agent.take_events()
    left = (agent.open_calls, agent.open_dialogs, agent.open_transactions, agent.next_time_s())
    print(f"{played} cases, {calls} of them calls; answers: {dict(sorted(statuses.items()))}")
    refused = {name: count for name, count in sorted(agent.counters.items()) if name.startswith("malformed_")}
    print(f"not read, by what is wrong: {refused}")
    print(f"left: calls, dialogs, transactions, next time: {left}")
    if left != (0, 0, 0, None):
        sys.exit("something is left")


def _drain(agent: SipAgent, now_s: float) -> list[str]:
    return [data.split(b" ", 2)[1].decode() for data, _ in agent.take_datagrams() if data.startswith(b"SIP/2.0 ")]


def over_udp(archive: Path, server: str) -> None:
    """At a server that runs."""
    host, _, port = server.partition(":")
    answers, played = Counter[str](), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.bind((host, 0))
        ours = wire.getsockname()[1]
        for number, (name, messages) in enumerate(cases(archive)):
            played += 1
            for message in messages:
                teardown = ("CANCEL", "BYE")[number % 2]
                data = filled(message, number, us=server, host=host, port=ours, teardown=teardown)
                wire.sendto(data[:65_000], (host, int(port)))
            if number % 20 == 0:
                answers.update(_until_alive(wire, server, ours, number, name))
    print(f"{played} cases, alive after each 20; answers: {dict(sorted(answers.items()))}")


def _until_alive(wire: socket.socket, server: str, ours: int, number: int, name: str) -> list[str]:
    host, _, port = server.partition(":")
    seen: list[str] = []
    wire.settimeout(1.0)
    for attempt in range(5):
        wire.sendto(options_request(server, ours, 100 * number + attempt), (host, int(port)))
        try:
            while True:
                answer = wire.recv(65_536)
                seen.append(answer.split(b" ", 2)[1].decode("ascii", "replace"))
                if b"CSeq: 1 OPTIONS" in answer:
                    return seen
        except TimeoutError:
            continue
    sys.exit(f"silent after case {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--server", help="host:port of one that runs")
    options = parser.parse_args()
    if options.server:
        over_udp(options.archive, options.server)
    else:
        in_memory(options.archive)


if __name__ == "__main__":
    main()
