"""server.yaml → routes.yaml → the mode files: all of it, or every mistake in all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from kallglot_media.config.account import Account
from kallglot_media.config.answering import AnsweringMode
from kallglot_media.config.errors import ConfigError, ConfigErrors
from kallglot_media.config.explain import explain
from kallglot_media.config.inherit import inherited
from kallglot_media.config.mode import Mode, Target
from kallglot_media.config.modes import AnyMode, is_mode_file, kind_of_mode
from kallglot_media.config.reader import Loc, Tree, read_file, shown
from kallglot_media.config.routes import Asked, Route, Routes, unreachable
from kallglot_media.config.server import Server
from kallglot_media.config.trunks import Trunk
from kallglot_media.sip.passwords import HashedPassword
from kallglot_media.speech.settings import SpeechSettings

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Config:
    """A whole, checked configuration. Every path in it is absolute.

    path    the server.yaml it came from
    routes  from the top; the first that matches wins
    modes   mode file -> mode: `config.modes[route.mode]`, or `config.mode_of(route)`
    files   everything that was read, to be watched for changes
    """

    path: Path
    server: Server
    routes: tuple[Route, ...]
    modes: Mapping[Path, AnyMode]
    files: tuple[Path, ...] = ()

    def route_for(self, user: str, asked: Asked | None = None) -> Route | None:
        """The route of a call to `sip:user@here`, None when there is none (404). asked: what else is known of it."""
        return next((route for route in self.routes if route.matches(user, asked)), None)

    def mode_of(self, route: Route) -> AnyMode:
        """The mode that a route with `mode:` leads to. KeyError for a service."""
        if route.mode is None:
            raise KeyError(f"route '{route.called}' is a service")
        return self.modes[route.mode]

    def ring_s(self, mode: Mode) -> float:
        """How long the agent's phone rings in this mode."""
        return self.server.sip.ring_s if mode.agent.ring_s is None else mode.agent.ring_s

    def longest_ring_s(self, mode: AnyMode) -> float:
        """How long a customer may hear it ring until the last one who can be called has not answered."""
        return sum(self.server.sip.ring_s if one.ring_s is None else one.ring_s for _, one in mode.targets())

    def languages(self) -> tuple[str, ...]:
        """Every language that some route uses, sorted."""
        spoken = {language for route in self.routes for language in route.languages or ()}
        spoken |= set(self.server.speech.languages)
        for mode in self.modes.values():
            spoken |= {mode.source_language, mode.target_language or mode.source_language}
            if isinstance(mode, AnsweringMode):
                spoken.add(mode.human_language)
        return tuple(sorted(spoken))

    def engines(self) -> SpeechSettings:
        """What the engines are started with."""
        return self.server.speech.engines(self.languages())

    def voice(self, mode: AnyMode | None, language: str) -> str | None:
        """The voice for a language: the mode's, else the server's, else None for the first one installed."""
        own = mode.voices.get(language) if mode else None
        return own or self.server.speech.synthesizer.voices.get(language)


def load_config(path: Path) -> Config:
    """The configuration that `path`, a server.yaml, stands for.

    Raises ConfigErrors with every mistake of that file, of the routes file it names
    and of the mode files which those routes name.
    """
    path = path.absolute()
    server_tree = read_file(path)
    kind = _kind_of(server_tree)
    if kind is not Server:
        server_tree.blame((), f"is a {kind.__name__.lower()} file", "name the server.yaml that leads to it")
        raise ConfigErrors(server_tree.errors)
    server = _model(Server, server_tree, path.parent)
    routes_path = _routes_path(server_tree, path.parent)
    if server_tree.value is not None and not routes_path.is_file():
        server_tree.blame(("routes",), f"names {shown(routes_path)}, which is no file", "write it, or name another")
        raise ConfigErrors(server_tree.errors)
    if server is None and server_tree.value is None:
        raise ConfigErrors(server_tree.errors)
    routes_tree = read_file(routes_path)
    routes = _routes(routes_tree, routes_path.parent)
    modes, mode_trees = _modes(routes_tree, routes_path.parent)
    if server is not None:
        _check_trunks(server, modes, mode_trees)
    errors = [error for tree in (server_tree, routes_tree, *mode_trees.values()) for error in tree.errors]
    if errors or server is None or routes is None:
        raise ConfigErrors(errors)
    bases = {base for tree in mode_trees.values() for base in tree.sources}
    return Config(path, server, routes.routes, modes, (path, routes_path, *mode_trees, *sorted(bases)))


def check_file(path: Path) -> tuple[ConfigError, ...]:
    """Every mistake in one file: a mode file or a routes file alone, a server.yaml with all it names.

    The kind of a file is read off its settings: `mode` or `routes` with a list.
    """
    tree = read_file(path)
    here = path.absolute().parent
    kind = _kind_of(tree)
    if kind is Mode or kind is AnsweringMode:
        tree = inherited(tree, path.absolute())
        _mode(tree, here)
        return tuple(tree.errors)
    if kind is Routes:
        _routes(tree, here)
        _, mode_trees = _modes(tree, here)
        return tuple(error for each in (tree, *mode_trees.values()) for error in each.errors)
    try:
        load_config(path)
    except ConfigErrors as errors:
        return errors.errors
    return ()


def _kind_of(tree: Tree) -> type[Mode | AnsweringMode | Routes | Server]:
    top = tree.value if isinstance(tree.value, Mapping) else {}
    if is_mode_file(top):
        return kind_of_mode(top)
    return Routes if isinstance(top.get("routes"), tuple) else Server


def _model(kind: type[M], tree: Tree, folder: Path) -> M | None:
    """The file as a model with absolute paths; None after noting its mistakes."""
    if tree.errors and tree.value is None:
        return None
    try:
        model = _absolute(kind.model_validate(tree.value), tree, folder, ())
    except ValidationError as error:
        explain(error, kind, tree)
        return None
    for loc, account, realm in _accounts(model):
        _try_password(account, loc, tree, realm)
    for file_loc, path in _certificates(model):
        _try_file(path, file_loc, tree)
    return None if tree.errors else model


def _mode(tree: Tree, folder: Path) -> AnyMode | None:
    """A mode file of either kind."""
    top = tree.value if isinstance(tree.value, Mapping) else {}
    if kind_of_mode(top) is Mode:
        return _model(Mode, tree, folder)
    mode = _model(AnsweringMode, tree, folder)
    for index, document in enumerate(mode.knowledge.documents if mode is not None else ()):
        if not document.exists():
            wrong = f"names {shown(document)}, which is neither file nor folder"
            tree.blame(("knowledge", "documents", index), wrong, "write the path of a document")
    return None if tree.errors else mode


def _routes(tree: Tree, folder: Path) -> Routes | None:
    """The routes; patterns that cannot be reached are noted even when other settings are wrong."""
    routes = tree.value.get("routes") if isinstance(tree.value, Mapping) else None
    called: dict[int, str] = {}
    for index, route in enumerate(routes if isinstance(routes, tuple) else ()):
        pattern = route.get("called") if isinstance(route, Mapping) else None
        narrowed = isinstance(route, Mapping) and not {"caller", "headers", "hours"}.isdisjoint(route)
        if isinstance(pattern, str) and pattern and not narrowed:
            called[index] = pattern  # a route that looks at more takes only some of these calls
    for index, wrong, mend in unreachable(called):
        tree.blame(("routes", index, "called"), wrong, mend)
    return _model(Routes, tree, folder)


def _routes_path(tree: Tree, folder: Path) -> Path:
    """Which routes file server.yaml names, even when the rest of it is wrong."""
    named = tree.value.get("routes") if isinstance(tree.value, Mapping) else None
    default: Path = Server.model_fields["routes"].default
    return _join(folder, Path(named) if isinstance(named, str) and named and "\0" not in named else default)


def _modes(tree: Tree, folder: Path) -> tuple[dict[Path, AnyMode], dict[Path, Tree]]:
    """Every mode file that the routes name, each read once, also when the routes have mistakes."""
    modes: dict[Path, AnyMode] = {}
    trees: dict[Path, Tree] = {}
    for loc, named in _mode_names(tree):
        path = _join(folder, Path(named))
        if not path.is_file():
            tree.blame(loc, f"names {shown(path)}, which is no file", _mend_missing_mode(path, folder))
        elif path not in trees:
            trees[path] = inherited(read_file(path), path)
            if (mode := _mode(trees[path], path.parent)) is not None:
                modes[path] = mode
    return modes, trees


def _check_trunks(server: Server, modes: Mapping[Path, AnyMode], trees: Mapping[Path, Tree]) -> None:
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


def _mode_names(tree: Tree) -> Iterator[tuple[Loc, str]]:
    routes = tree.value.get("routes") if isinstance(tree.value, Mapping) else None
    for index, route in enumerate(routes if isinstance(routes, tuple) else ()):
        named = route.get("mode") if isinstance(route, Mapping) else None
        if isinstance(named, str) and named and "\0" not in named:
            yield ("routes", index, "mode"), named


def _mend_missing_mode(path: Path, folder: Path) -> str:
    """The mode files that are there, so that a person can pick one."""
    for place in (path.parent, folder / "modes"):
        found = sorted(place.glob("*.yaml")) if place.is_dir() else []
        if found:
            return f"write that file, or name one that is there: {', '.join(str(_near(one, folder)) for one in found)}"
    return "write that file, or name one that is there"


def _near(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def _join(folder: Path, path: Path) -> Path:
    """The path as seen from `folder`, without `..` where that is safe to read."""
    return Path(str(_squeeze(folder / path.expanduser())))


def _squeeze(path: Path) -> Path:
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts and parts[-1] not in ("..", path.anchor):
            parts.pop()
        else:
            parts.append(part)
    return Path(*parts)


def _absolute(model: M, tree: Tree, folder: Path, loc: Loc) -> M:
    """The model with every relative path joined to the folder of the file that it is written in."""
    changed: dict[str, object] = {}
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        new = _absolute_value(value, tree, folder, (*loc, field.alias or name))
        if new is not value:
            changed[name] = new
    return model.model_copy(update=changed) if changed else model


def _absolute_value(value: object, tree: Tree, folder: Path, loc: Loc) -> object:
    if isinstance(value, Path):
        return _join(tree.folder_of(loc, folder), value)
    if isinstance(value, BaseModel):
        return _absolute(value, tree, folder, loc)
    if isinstance(value, tuple) and value and isinstance(value[0], BaseModel | Path):
        new = tuple(_absolute_value(item, tree, folder, (*loc, index)) for index, item in enumerate(value))
        return new if any(a is not b for a, b in zip(new, value, strict=True)) else value
    return value


def _accounts(model: BaseModel) -> Iterator[tuple[Loc, Account, str | None]]:
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


def _certificates(model: BaseModel) -> Iterator[tuple[Loc, Path]]:
    if isinstance(model, Server):
        for index, listen in enumerate(model.sip.listen):
            yield from ((("sip", "listen", index, *place), path) for place, path in listen.files())


def _try_file(path: Path, loc: Loc, tree: Tree) -> None:
    """Note a file that is not there or not ours to read. What is in it, the start finds out."""
    try:
        path.open("rb").close()
    except OSError as wrong:
        why = (wrong.strerror or str(wrong)).lower()
        tree.blame(loc, f"names {shown(path)}: {why}", "write the path of a PEM file that this user can read")


def _try_password(account: Account, loc: Loc, tree: Tree, realm: str | None) -> None:
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
