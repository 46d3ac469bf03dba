"""What one setting alone cannot tell: trunks that other files name, passwords and files that must be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from kallglot_media.config.account import Account
from kallglot_media.config.answering import AnsweringMode
from kallglot_media.config.mode import Mode, Target
from kallglot_media.config.modes import AnyMode
from kallglot_media.config.reader import Loc, Tree, shown
from kallglot_media.config.server import Server
from kallglot_media.config.trunks import Trunk
from kallglot_media.sip.passwords import HashedPassword


def check_trunks(server: Server, modes: Mapping[Path, AnyMode], trees: Mapping[Path, Tree]) -> None:
    """An agent behind a trunk: the trunk is there, and lets us call that number."""
    trunks = {trunk.name: trunk for trunk in server.sip.trunks}
    for path, mode in modes.items():
        for at, target in mode.targets():
            _check_target(at, target, trunks, trees[path])
        if isinstance(mode, Mode):
            name = mode.transfer.trunk
            if name is not None and name not in trunks:
                _blame_trunk(("transfer", "trunk"), name, trunks, trees[path])
        else:
            _check_escalation(mode, trunks, trees[path])


def _check_escalation(mode: AnsweringMode, trunks: Mapping[str, Trunk], tree: Tree) -> None:
    """A help desk's number: over which trunk, and whether that one may call it."""
    chat = mode.help_chat
    if chat is None or not chat.escalation_enabled or (mode.handoff is not None and mode.handoff.names_somebody):
        return
    place = ("help_chat", "escalation_phone")
    if chat.escalation_phone is None:
        tree.blame(place, "is missing, and escalation_enabled is true", "write it, or handoff: {to: …}")
        return
    name = (mode.handoff.trunk if mode.handoff else None) or next(iter(trunks), None)
    if name is None or name not in trunks:
        _blame_trunk(("handoff", "trunk") if name else place, name or "", trunks, tree)
    elif not trunks[name].dial.allows(chat.escalation_phone):
        mend = f"add it to dial.allow of the trunk in server.yaml, e.g. allow: ['{chat.escalation_phone}']"
        tree.blame(place, f"is '{chat.escalation_phone}', which trunk '{name}' may not call", mend)


def _check_target(at: Loc, target: Target, trunks: Mapping[str, Trunk], tree: Tree) -> None:
    name, number = target.trunk, target.number
    if name is None or number is None:
        return
    trunk = trunks.get(name)
    if trunk is None:
        _blame_trunk((*at, "trunk"), name, trunks, tree)
    elif not trunk.dial.allows(number):
        mend = f"add it to dial.allow of the trunk in server.yaml, e.g. allow: ['{number}']"
        tree.blame((*at, "number"), f"is '{number}', which trunk '{name}' may not call", mend)


def _blame_trunk(at: Loc, name: str, trunks: Mapping[str, Trunk], tree: Tree) -> None:
    there = ", ".join(trunks) or "none"
    wrong = f"is '{name}', and server.yaml has no trunk of that name"
    tree.blame(at, wrong, f"write one of those that are there: {there}; or add it to sip.trunks")


def accounts(model: BaseModel) -> Iterator[tuple[Loc, Account, str | None]]:
    """Each account with its place and, when it is we who ask for the password, our realm."""
    if isinstance(model, Server):
        for index, account in enumerate(model.sip.accounts):
            yield ("sip", "accounts", index), account, model.sip.realm
        for index, trunk in enumerate(model.sip.trunks):
            if trunk.account is not None:
                yield ("sip", "trunks", index, "account"), trunk.account, None
    if isinstance(model, Mode | AnsweringMode):
        for at, target in model.targets():
            if target.account is not None:
                yield (*at, "account"), target.account, None


def certificates(model: BaseModel) -> Iterator[tuple[Loc, Path]]:
    """Each file of certificates and keys, with its place."""
    if isinstance(model, Server):
        for index, listen in enumerate(model.sip.listen):
            yield from ((("sip", "listen", index, *place), path) for place, path in listen.files())


def try_file(path: Path, loc: Loc, tree: Tree) -> None:
    """Note a file that is not there or not ours to read. What is in it, the start finds out."""
    try:
        path.open("rb").close()
    except OSError as wrong:
        why = (wrong.strerror or str(wrong)).lower()
        tree.blame(loc, f"names {shown(path)}: {why}", "write the path of a PEM file that this user can read")


def try_password(account: Account, loc: Loc, tree: Tree, realm: str | None) -> None:
    """Note a password that is not where the file says. The password itself is in no message.

    realm  the one that we ask this password for; None where the other side has its own
    """
    if account.password_env is not None:
        loc, mend = (*loc, "password_env"), f"set it before the start: export {account.password_env}=…"
        wrong = f"names the environment variable {account.password_env}, which is not set"
    else:
        loc, mend = (*loc, "password_file"), "write the password into that file, readable by this user alone"
        wrong = f"names {shown(account.password_file or Path())}, which cannot be read"
    try:
        password = account.password()
    except ValueError as broken:
        told = "is no text" if isinstance(broken, UnicodeError) else str(broken)
        tree.blame(loc, f"leads to a broken hash: {told}", f"make it anew: kallglot-media users hash {account.user}")
        return
    except (KeyError, OSError):
        tree.blame(loc, wrong, mend)
        return
    if not password:
        tree.blame(loc, "leads to an empty password", mend)
    elif realm is not None and isinstance(password, HashedPassword) and password.realm != realm:
        remake = f"hash it again for this realm: kallglot-media users hash {account.user}"
        tree.blame(loc, f"leads to a hash for realm '{password.realm}', sip.realm is '{realm}'", remake)
