"""Calls with RTP for bench_api: INVITEs from one UDP socket, sound from rtp_load."""

from __future__ import annotations

import asyncio
import re
import socket
import tempfile
from pathlib import Path
from typing import Self

from media_load import compile_load, write_packets

HOST = "127.0.0.1"


class Calls:
    """`async with Calls(sip_port, count, seconds)`: so many calls to `echo` are up and heard inside the block."""

    def __init__(self, sip_port: int, count: int, seconds: float) -> None:
        self._there = (HOST, sip_port)
        self._count = count
        self._seconds = seconds

    async def __aenter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-api-")
        folder = Path(self._folder.name)
        program, sound = compile_load(folder), write_packets(folder / "speech.rtp", "PCMU")
        self._load = await asyncio.create_subprocess_exec(
            str(program), str(self._count), str(self._seconds), str(sound),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self._load.stdin is not None
        assert self._load.stdout is not None
        peers = [int(port) for port in (await self._load.stdout.readline()).split()]
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self._socket.setblocking(False)
        self._tags: dict[int, str] = {}
        ports = [await self._invite(number, peer) for number, peer in enumerate(peers)]
        self._load.stdin.write(" ".join(map(str, ports)).encode() + b"\n")
        return self

    async def __aexit__(self, *_: object) -> None:
        for number in range(self._count):
            self._send(number, "BYE", 2)
        if self._load.returncode is None:
            self._load.kill()
        await self._load.communicate()
        self._socket.close()
        self._folder.cleanup()

    async def _invite(self, number: int, peer: int) -> int:
        """One call; the port where its sound goes."""
        loop = asyncio.get_running_loop()
        sdp = (
            f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
            f"m=audio {peer} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        )
        self._send(number, "INVITE", 1, sdp)
        async with asyncio.timeout(10):
            while True:
                answer = (await loop.sock_recv(self._socket, 65_536)).decode()
                if f"Call-ID: bench{number}@" in answer and answer.startswith("SIP/2.0 200"):
                    break
        self._tags[number] = re.findall(r"(?im)^to:.*;tag=([^\s;]+)", answer)[0]
        self._send(number, "ACK", 1)
        return int(re.findall(r"m=audio (\d+)", answer)[0])

    def _send(self, number: int, method: str, cseq: int, body: str = "") -> None:
        host, port = self._socket.getsockname()
        tag = f";tag={self._tags[number]}" if number in self._tags else ""
        kind = "Content-Type: application/sdp\r\n" if body else ""
        self._socket.sendto(
            (
                f"{method} sip:echo@{HOST}:{self._there[1]} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bKbench{number}{method}\r\n"
                f"From: <sip:bench@{host}:{port}>;tag=b{number}\r\nTo: <sip:echo@{HOST}:{self._there[1]}>{tag}\r\n"
                f"Call-ID: bench{number}@{host}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n"
                f"Contact: <sip:bench@{host}:{port}>\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode(),
            self._there,
        )
