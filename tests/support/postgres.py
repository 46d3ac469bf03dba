"""A private PostgreSQL for the tests: its own cluster, its own folder, a Unix socket and no TCP port.

It runs as an unprivileged user, because PostgreSQL refuses to run as root. Durability is off: it dies with the tests.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

MEND = "PostgreSQL is not installed: run scripts/install_peers.sh (Debian package postgresql)"
ACCOUNTS = ("postgres", "nobody")


def find_bin() -> Path | None:
    """The folder of initdb and pg_ctl: the newest that Debian installed, else that of the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = debian[-1] if debian else shutil.which("initdb")
    return Path(found).parent if found else None


def unprivileged() -> str | None:
    """The account that the cluster runs as; None: the one that runs the tests."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise RuntimeError(f"none of the accounts {ACCOUNTS} exists")


class Cluster:
    """A running cluster. `url(database)` is how to reach one of its databases."""

    def __init__(self, binaries: Path) -> None:
        self._bin = binaries
        self._account = unprivileged()
        self.folder = Path(tempfile.mkdtemp(prefix="kallglot-pg-"))
        if self._account is not None:
            shutil.chown(self.folder, self._account)
        self._data = self.folder / "data"
        self._run("initdb", "-D", str(self._data), "-U", "kallglot", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off -c max_connections=60"
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self.folder / "log"), "-w", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` drops the connections, `immediate` is a crash."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def remove(self) -> None:
        """Stop it and delete everything."""
        with suppress(subprocess.CalledProcessError):
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """postgresql://… of one database."""
        return f"postgresql://kallglot@/{database}?host={self.folder}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement as the superuser; what psql printed."""
        command = ["psql", "-h", str(self.folder), "-U", "kallglot", "-d", database, "-XAtqc", statement]
        return self._run(*command).strip()

    def _run(self, program: str, *words: str) -> str:
        done = subprocess.run(
            [str(self._bin / program), *words],
            user=self._account,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE if program == "psql" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if program == "psql" else subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout or ""
