"""Certificates: what TLS listeners show and what they demand, read again when the files change.

A renewed certificate serves the next connection; nobody restarts anything. Files that cannot be used when they
change leave the old ones in service, which is counted.
"""

from __future__ import annotations

import contextlib
import ssl
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_Stamp = tuple[tuple[int, int], ...]


class TlsError(OSError):
    """A certificate or key cannot be used; the message names the file."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of one listener.

    certificate  the server's, with the chain up to its CA; key: its private key, without a password
    by_name      other certificates and keys by the name that a client asks for (SNI)
    client_ca    who connects must show a certificate that one of these signed; None: no certificate is asked for
    server_ca    who must have signed the certificates of servers that we connect to; None: the system's CAs
    verify       False: servers that we connect to may show any certificate
    """

    certificate: Path
    key: Path
    by_name: Mapping[str, tuple[Path, Path]] = field(default_factory=dict)
    client_ca: Path | None = None
    server_ca: Path | None = None
    verify: bool = True

    def paths(self) -> Iterator[Path]:
        """Every file that is read."""
        yield self.certificate
        yield self.key
        for pair in self.by_name.values():
            yield from pair
        for ca in (self.client_ca, self.server_ca):
            if ca is not None:
                yield ca


class Tls:
    """The contexts of one listener. counters: "certificate_loaded_again", "certificate_not_loaded"."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises TlsError."""
        self.counters: Counter[str] = Counter()
        self._files = files
        self._stamp = self._look()
        self._by_name: dict[str, ssl.SSLContext] = {}
        self._load()
        self.server = self._server_context(files.certificate, files.key)
        """For create_server; what it shows is chosen anew for each connection."""
        self.server.sni_callback = self._choose

    def client(self) -> ssl.SSLContext:
        """For a connection of ours, with the certificate that a server may ask us for."""
        self.refresh()
        return self._client

    def refresh(self) -> None:
        """Read the files again when they have changed."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._load()
        except TlsError:  # half written, perhaps: they will change once more
            self.counters["certificate_not_loaded"] += 1
        else:
            self.counters["certificate_loaded_again"] += 1

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Called by OpenSSL for each ClientHello."""
        self.refresh()
        connection.context = self._by_name.get((name or "").lower(), self._default)

    def _load(self) -> None:
        """All contexts, or none when one file is wrong."""
        files = self._files
        default = self._server_context(files.certificate, files.key)
        by_name = {name.lower(): self._server_context(*pair) for name, pair in files.by_name.items()}
        client = self._client_context()
        self._default, self._by_name, self._client = default, by_name, client

    def _server_context(self, certificate: Path, key: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _show(context, certificate, key)
        if self._files.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            _trust(context, self._files.client_ca)
        return context

    def _client_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _show(context, self._files.certificate, self._files.key)
        if not self._files.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self._files.server_ca is not None:
            _trust(context, self._files.server_ca)
        else:
            context.load_default_certs()
        return context

    def _look(self) -> _Stamp:
        """When each file was changed, and its size; a missing one counts as empty."""
        found: list[tuple[int, int]] = []
        for path in self._files.paths():
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size))
        return tuple(found)


def _show(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    for path in (certificate, key):
        _readable(path)
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except ssl.SSLError as wrong:
        if wrong.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(f"{key} is not the key of {certificate}") from None
        raise TlsError(f"{certificate} or {key} is no PEM file, or the key has a password ({wrong.reason})") from None


def _trust(context: ssl.SSLContext, ca: Path) -> None:
    _readable(ca)
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as wrong:
        raise TlsError(f"{ca} holds no CA certificates in PEM ({wrong.reason})") from None


def _readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as wrong:
        raise TlsError(f"{path} cannot be read: {(wrong.strerror or str(wrong)).lower()}") from None
