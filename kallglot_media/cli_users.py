"""`kallglot-media users`: passwords as hashes, so that no file holds one."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from kallglot_media.config import load_config
from kallglot_media.config.sip import Sip
from kallglot_media.errors import SetupError
from kallglot_media.sip.passwords import HashedPassword


def hash_line(user: str, realm: str | None, config: Path) -> str:
    """Ask for the password (standard input when it is no terminal); the text that stands for it. Raises SetupError."""
    if realm is None:
        realm = load_config(config).server.sip.realm if config.exists() else Sip().realm
    password = read_password()
    if not password:
        raise SetupError("password", "is empty", "type one, or send one: echo secret | kallglot-media users hash NAME")
    return str(HashedPassword.of(user, realm, password))


def read_password() -> str:
    """Typed twice at a terminal, else the first line of standard input. Raises SetupError."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise SetupError("password", "was typed differently the second time", "try again")
    return password
