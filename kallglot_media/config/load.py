"""server.yaml → routes.yaml → the mode files: all of it, or every mistake in all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from kallglot_media.config.answering import AnsweringMode
from kallglot_media.config.crosscheck import accounts, certificates, check_trunks, try_file, try_password
from kallglot_media.config.errors import ConfigError, ConfigErrors
from kallglot_media.config.explain import explain
from kallglot_media.config.inherit import inherited
from kallglot_media.config.mode import Mode
from kallglot_media.config.modes import AnyMode, is_mode_file, kind_of_mode
from kallglot_media.config.reader import Loc, Tree, is_file, is_folder, read_file, shown
from kallglot_media.config.routes import Asked, Route, Routes, unreachable
from kallglot_media.config.server import Server
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
    if server_tree.value is not None and not is_file(routes_path):
        server_tree.blame(("routes",), f"names {shown(routes_path)}, which is no file", "write it, or name another")
        raise ConfigErrors(server_tree.errors)
    if server is None and server_tree.value is None:
        raise ConfigErrors(server_tree.errors)
    routes_tree = read_file(routes_path)
    routes = _routes(routes_tree, routes_path.parent)
    modes, mode_trees = _modes(routes_tree, routes_path.parent)
    if server is not None:
        check_trunks(server, modes, mode_trees)
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
    for loc, account, realm in accounts(model):
        try_password(account, loc, tree, realm)
    for file_loc, path in certificates(model):
        try_file(path, file_loc, tree)
    return None if tree.errors else model


def _mode(tree: Tree, folder: Path) -> AnyMode | None:
    """A mode file of either kind."""
    top = tree.value if isinstance(tree.value, Mapping) else {}
    if kind_of_mode(top) is Mode:
        return _model(Mode, tree, folder)
    mode = _model(AnsweringMode, tree, folder)
    for index, document in enumerate(mode.knowledge.documents if mode is not None else ()):
        if not is_file(document) and not is_folder(document):
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
        if not is_file(path):
            tree.blame(loc, f"names {shown(path)}, which is no file", _mend_missing_mode(path, folder))
        elif path not in trees:
            trees[path] = inherited(read_file(path), path)
            if (mode := _mode(trees[path], path.parent)) is not None:
                modes[path] = mode
    return modes, trees


def _mode_names(tree: Tree) -> Iterator[tuple[Loc, str]]:
    routes = tree.value.get("routes") if isinstance(tree.value, Mapping) else None
    for index, route in enumerate(routes if isinstance(routes, tuple) else ()):
        named = route.get("mode") if isinstance(route, Mapping) else None
        if isinstance(named, str) and named and "\0" not in named:
            yield ("routes", index, "mode"), named


def _mend_missing_mode(path: Path, folder: Path) -> str:
    """The mode files that are there, so that a person can pick one."""
    for place in (path.parent, folder / "modes"):
        found = sorted(place.glob("*.yaml")) if is_folder(place) else []
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
