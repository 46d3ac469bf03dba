"""YAML text → plain values, and the line of each: the rules of YAML 1.2, not 1.1.

In YAML 1.1 (PyYAML's habit) `no` is False, `1:30` is 90 and `off` is False; a language
or an extension number must not turn into something else, so only `true`, `false`,
`null`, numbers and text exist here. Aliases are followed; tags and merge keys are not used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from kallglot_media.config.errors import ConfigError

Loc = tuple[str | int, ...]
"""Where a value stands: ("sip", "listen", 0, "port")."""

_TOO_MANY_NODES = 20_000  # aliases of aliases of aliases make gigabytes of a few lines
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_BASED_INT = re.compile(r"0o[0-7]{1,20}|0x[0-9a-fA-F]{1,16}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?")
_SHOWN_OF_WORD = 120
_ENDLESS_WORD = re.compile(rf"\S{{{2 * _SHOWN_OF_WORD},}}")
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass(slots=True)
class Tree:
    """One file: its value as mappings, tuples and scalars, and where each part stands.

    lines    setting -> the line (from 1) of its key, or of the item in a list
    files    setting -> the file it is taken over from, where that is another
    folders  the same -> the folder that relative paths in it start at
    sources  the files that something was taken over from
    """

    name: str
    value: object = None
    lines: dict[Loc, int] = field(default_factory=dict)
    files: dict[Loc, str] = field(default_factory=dict)
    folders: dict[Loc, Path] = field(default_factory=dict)
    sources: list[Path] = field(default_factory=list)
    _mistakes: list[tuple[int, ConfigError]] = field(default_factory=list)

    def blame(self, loc: Loc, wrong: str, mend: str, *, line: int | None = None) -> None:
        """Note one mistake. A setting that is absent stands at the nearest line above it."""
        at = next((loc[:end] for end in range(len(loc), -1, -1) if loc[:end] in self.lines), ())
        if line is None:
            line = self.lines.get(at, 0)
        name = self.files.get(at, self.name)
        place = f"{name}:{line}" if line else name
        self._mistakes.append((line, ConfigError(f"{place} {dotted(loc)}".rstrip(), _readable(wrong), mend)))

    def take_mistakes(self, other: Tree) -> None:
        """Those of another tree are this one's, too."""
        self._mistakes += other._mistakes

    def folder_of(self, loc: Loc, default: Path) -> Path:
        """Where a relative path in this setting starts."""
        found = (self.folders.get(loc[:end]) for end in range(len(loc), 0, -1))
        return next((one for one in found if one is not None), default)

    @property
    def errors(self) -> list[ConfigError]:
        """The mistakes so far, from the top of the file to its end."""
        return [error for _, error in sorted(self._mistakes, key=lambda mistake: mistake[0])]


def _readable(text: str) -> str:
    """A sentence in which a value of thousands of characters does not bury the rest."""
    return _ENDLESS_WORD.sub(lambda found: f"{found[0][:_SHOWN_OF_WORD]}…{found[0][-1]}", text)


def dotted(loc: Loc) -> str:
    """("sip", "listen", 0, "port") -> "sip.listen[0].port"."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def shown(path: Path) -> str:
    """The path as a person would write it from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else str(path)


def is_file(path: Path) -> bool:
    """Whether there is a file; False also for a name that no file can have, e.g. one that is too long."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder; False also for a name that none can have."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def read_file(path: Path) -> Tree:
    """The file's tree; when it cannot be read, a tree with an error and no value."""
    tree = Tree(shown(path))
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        tree.blame((), "no such file", "write it, or name the right file")
    except (OSError, ValueError) as why:
        reason = (why.strerror or str(why)) if isinstance(why, OSError) else str(why)
        tree.blame((), f"cannot be read: {reason}", "give a file that this user may read")
    else:
        return read_text(data, tree.name)
    return tree


def read_text(text: str | bytes, name: str) -> Tree:
    """The tree of a YAML text. Mistakes of syntax are in `errors`; never raises for the text."""
    tree = Tree(name)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            tree.lines[()] = node.start_mark.line + 1
            tree.value = _Builder(tree).value(node, ())
    except yaml.MarkedYAMLError as why:
        mark = why.problem_mark or why.context_mark
        tree.lines[()] = mark.line + 1 if mark else 1
        tree.blame((), f"is not YAML: {why.problem or why.context or 'broken'}", _mend_syntax(why))
    except yaml.reader.ReaderError as why:
        tree.lines[()] = _line_of(why, text)
        tree.blame((), f"is not YAML: {why.reason}", "save the file as UTF-8 text without control characters")
    except (RecursionError, _TooBigError):
        tree.value = None
        tree.blame((), "is nested too deep or too large", "write settings as the example files do")
    except UnicodeError:
        tree.blame((), "is not UTF-8 text", "save the file as UTF-8")
    return tree


def _line_of(why: yaml.reader.ReaderError, text: str | bytes) -> int:
    """The line of a character that YAML forbids, or of a byte that is no UTF-8: only the latter is counted in bytes."""
    before: str | bytes = text
    if isinstance(text, bytes) and why.encoding == "unicode":
        before = text.decode("utf-8", "replace")
    before = before[: why.position]
    return 1 + (before.count(b"\n") if isinstance(before, bytes) else before.count("\n"))


def _mend_syntax(why: yaml.MarkedYAMLError) -> str:
    problem = f"{why.context or ''} {why.problem or ''}"
    if "alias" in problem or "anchor" in problem:
        return 'put quotes around a text that starts with * or &, e.g. called: "*"'
    if "found character" in problem and "\\t" in problem:
        return "indent with spaces, not with tabs"
    if "mapping values are not allowed" in problem:
        return 'put quotes around a text with a colon in it, or check the indentation, e.g. to: "sip:agent@pbx"'
    if "single document" in problem:
        return "remove the line '---' and what follows: one file holds one document"
    return "check indentation, colons and quotes on this line and the one before"


class _TooBigError(Exception):
    """More nodes than a configuration can need."""


class _Builder:
    """Turns YAML nodes into values, noting lines and duplicate keys on the way."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._nodes = 0
        self._open: set[int] = set()

    def value(self, node: yaml.Node, loc: Loc) -> object:
        self._nodes += 1
        if self._nodes > _TOO_MANY_NODES:
            raise _TooBigError
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, loc)
        if id(node) in self._open:
            self._tree.blame(loc, "contains itself", "remove the alias (*name)")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, loc)
            return self._sequence(node, loc)
        finally:
            self._open.discard(id(node))

    def _sequence(self, node: yaml.Node, loc: Loc) -> tuple[object, ...]:
        items = []
        for index, item in enumerate(node.value):
            self._tree.lines[(*loc, index)] = item.start_mark.line + 1
            items.append(self.value(item, (*loc, index)))
        return tuple(items)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, object]:
        found: dict[str, object] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._tree.blame(loc, "a list or mapping stands where a name should be", "write name: value")
                continue
            key = str(key_node.value)
            place = (*loc, key)
            if key in found:
                wrong = f"is written twice, first on line {self._tree.lines[place]}"
                self._tree.blame(place, wrong, "keep one of the two", line=key_node.start_mark.line + 1)
                continue
            self._tree.lines[place] = key_node.start_mark.line + 1
            found[key] = self.value(value_node, place)
        return found

    def _scalar(self, node: yaml.ScalarNode, loc: Loc) -> object:
        text = str(node.value)
        if node.style is not None or node.tag == "tag:yaml.org,2002:str" or not node.tag.startswith("tag:yaml.org"):
            if not node.tag.startswith("tag:yaml.org,2002:"):
                self._tree.blame(loc, f"has the tag {node.tag}", "remove the tag: none is used here")
            return text
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        if _INT.fullmatch(text):
            return int(text)
        if _BASED_INT.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
        return text
