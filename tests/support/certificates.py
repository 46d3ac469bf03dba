"""Certificates made by openssl for one test: a CA, and what it signed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import need


@dataclass(frozen=True, slots=True)
class Pair:
    """PEM files of one certificate. both: certificate and key in one file, as baresip wants it."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """A CA in a folder."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        self._openssl = need("openssl", "openssl")
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ca, self._key = folder / "ca.pem", folder / "ca.key"
        self._run(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-subj", f"/CN={name}", "-keyout", str(self._key), "-out", str(self.ca)),
        )

    def sign(self, name: str, *names: str) -> Pair:
        """A certificate for these DNS names or IP addresses, the first one in its file name."""
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        both, asked, more = self._folder / f"{name}.both.pem", self._folder / "asked.csr", self._folder / "more.cnf"
        kinds = [f"IP:{one}" if one[0].isdigit() or ":" in one else f"DNS:{one}" for one in (name, *names)]
        more.write_text(f"subjectAltName={','.join(kinds)}\n")
        self._run(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", str(key), "-out", str(asked)),
        )
        self._run(
            *("x509", "-req", "-in", str(asked), "-CA", str(self.ca), "-CAkey", str(self._key), "-days", "2"),
            *("-CAcreateserial", "-extfile", str(more), "-out", str(certificate)),
        )
        both.write_bytes(certificate.read_bytes() + key.read_bytes())
        return Pair(certificate, key, both)

    def _run(self, *arguments: str) -> None:
        done = subprocess.run([self._openssl, *arguments], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
