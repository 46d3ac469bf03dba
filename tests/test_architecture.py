"""The shape of the tree: who may import whom, what the pure folders must not touch, how long things are."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kallglot_media"

COMMON = frozenset({"ids", "errors"})
"""Names and errors without imports of their own: anybody may use them."""

PURE = ("sip", "sdp", "rtp", "audio", "modes")

MAY_IMPORT: Mapping[str, frozenset[str]] = {
    # pure
    "sip": frozenset(),
    "sdp": frozenset(),
    "audio": frozenset(),
    "rtp": frozenset(),
    "modes": frozenset(),
    # the media plane and the engines, each a process that could run alone
    "media": frozenset({"rtp", "audio", "modes", "log", "random_ids"}),
    "speech": frozenset({"audio", "log"}),
    # what both control and the commands need
    "config": frozenset(
        {"audio.segment", "audio.pcm", "audio.wav", "media.messages", "media.settings", "modes.plan", "modes.policy"}
        | {"sip.guard", "sip.passwords", "sip.settings", "speech.settings", "store.settings"}
    ),
    # what outlives a call
    "store": frozenset({"log", "media.track_files"}),
    "knowledge": frozenset({"store", "log"}),
    "webhooks": frozenset({"store", "log"}),
    "analysis": frozenset({"store", "log"}),
    "agent": frozenset({"knowledge", "speech.sentences", "store.stems", "webhooks.post", "webhooks.signature"}),
    "minds": frozenset({"agent", "call", "config", "store", "webhooks", "knowledge", "log"}),
    "backing": frozenset({"config", "store", "knowledge", "webhooks", "analysis"}),
    # control
    "call": frozenset(
        {"sip", "sdp", "modes", "audio", "config", "log", "speech", "media.link", "media.messages", "media.recorder"}
        | {"agent"}
    ),
    "net": frozenset({"sip", "sdp", "call", "log"}),
    "ledger": frozenset({"call", "store", "media.messages", "modes", "log"}),
    "api": frozenset(
        {"call", "ledger", "store", "knowledge", "webhooks", "analysis", "config", "audio", "modes", "log"}
        | {"media.export", "media.track_files"}
    ),
    "office": frozenset(
        {"minds", "backing", "api", "ledger", "call", "store", "knowledge", "webhooks", "analysis", "config", "log"}
        | {"media.fleet", "media.messages", "speech.pool"}
    ),
    "reload": frozenset({"config", "log"}),
    "wiring": frozenset({"net", "call", "config", "media.sealed", "media.settings", "sip", "rtp.jitter", "log"}),
    "server": frozenset(
        {
            "wiring",
            "reload",
            "office",
            "net",
            "call",
            "config",
            "media",
            "speech",
            "sip",
            "rtp.jitter",
            "log",
            "random_ids",
            "modes",
        }
    ),
    # the other end of a call: knows the wire, not the server
    "phone": frozenset(
        {"sip", "sdp", "rtp", "audio", "net", "random_ids", "log", "speech.types", "media.track_files", "modes.plan"}
    ),
    # what recordings show, and sets of recordings through engines and calls
    "measure": frozenset({"audio", "phone", "speech", "call.listening", "media.messages", "modes.policy"}),
    # people
    "doctor": frozenset({"config", "speech", "audio", "media"}),
    "cli": frozenset(
        {
            "server",
            "backing",
            "store",
            "webhooks",
            "random_ids",
            "config",
            "doctor",
            "phone",
            "measure",
            "speech",
            "media.chain",
            "sip.passwords",
            "log",
        }
    ),
    # leaves
    "ids": frozenset(),
    "errors": frozenset(),
    "log": frozenset(),
    "random_ids": frozenset(),
}

IMPURE_MODULES = frozenset(
    {"asyncio", "concurrent", "datetime", "http.client", "http.server", "io", "logging", "multiprocessing", "os"}
    | {"pathlib", "queue", "random", "sched", "secrets", "select", "selectors", "shutil", "signal", "socket"}
    | {"socketserver", "ssl", "structlog", "subprocess", "tempfile", "threading", "time", "urllib.request"}
    | {"uuid", "uvloop"}
)
IMPURE_CALLS = ("open", "print", "input", "breakpoint", "exec", "eval")

LONGEST_FILE_LINES = 420
LONGEST_FUNCTION_LINES = 60
LONGER_FOR_A_REASON: Mapping[str, str] = {
    "media/messages.py": "all that control and media say to each other, read in one go: values without behaviour",
}
"""File or file:function -> why it is better in one piece."""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def modules(*folders: str) -> list[Path]:
    if not folders:
        return sorted(PACKAGE.rglob("*.py"))
    return sorted(path for folder in folders for path in (PACKAGE / folder).rglob("*.py"))


def component(path: Path) -> str:
    """ "sip" for sip/uri.py, "cli" for cli.py and cli_phone.py, "" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0].split("_")[0] if parts[0].startswith("cli_") else parts[0]


def own_imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, "media.messages") for every import of this package's own modules."""
    for line, name in imports(path):
        if name.startswith("kallglot_media."):
            yield line, name.removeprefix("kallglot_media.")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted module) of every import; `from a import b` gives a.b when that is a module of ours."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} relative import: write the whole name"
            base = node.module or ""
            inside = [alias.name for alias in node.names if is_module(f"{base}.{alias.name}")]
            yield from ((node.lineno, f"{base}.{name}") for name in inside)
            if len(inside) < len(node.names):
                yield node.lineno, base


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def allowed(importer: str, imported: str) -> bool:
    first = imported.split(".")[0]
    if first in COMMON or first == importer or first.startswith(f"{importer}_"):
        return True
    return any(imported == one or imported.startswith(f"{one}.") for one in MAY_IMPORT[importer])


def test_every_part_has_a_place() -> None:
    assert {component(path) for path in modules()} - {""} <= set(MAY_IMPORT)


def test_imports_point_one_way() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}; {component(path)} may import: "
        f"{', '.join(sorted(MAY_IMPORT[component(path)])) or 'nothing of ours'}"
        for path in modules()
        if component(path)
        for line, name in own_imports(path)
        if not allowed(component(path), name)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_directions_have_no_circle() -> None:
    def reaches(start: str, goal: str, seen: set[str]) -> bool:
        for one in MAY_IMPORT[start]:
            part = one.split(".")[0]
            if part == goal or (part not in seen and reaches(part, goal, seen | {part})):
                return True
        return False

    assert [part for part in MAY_IMPORT if reaches(part, part, set())] == []


def test_pure_folders_touch_nothing() -> None:
    """No socket, clock, thread, file or randomness: bytes and `now_s` in, bytes and events out."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules(*PURE)
        for line, name in imports(path)
        if any(name == impure or name.startswith(f"{impure}.") for impure in IMPURE_MODULES)
    ]
    wrong += [
        f"{path.relative_to(ROOT)}:{node.lineno} calls {node.func.id}()"
        for path in modules(*PURE)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS
    ]
    assert not wrong, "\n".join(wrong)


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text("utf-8").splitlines()) for path in modules()}
    too_long = {
        name: lines for name, lines in lengths.items() if lines > LONGEST_FILE_LINES and name not in LONGER_FOR_A_REASON
    }
    assert not too_long, f"split these, or give a reason in LONGER_FOR_A_REASON: {too_long}"


def test_functions_are_short() -> None:
    too_long = {
        name: lines for name, lines in functions() if lines > LONGEST_FUNCTION_LINES and name not in LONGER_FOR_A_REASON
    }
    assert not too_long, f"split these, or give a reason in LONGER_FOR_A_REASON: {too_long}"


def functions() -> Iterator[tuple[str, int]]:
    """("media/plane.py:tick", its lines without the docstring)."""
    for path in modules():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                docstring = ast.get_docstring(node, clean=False) or ""
                lines = node.end_lineno - node.lineno + 1 - len(docstring.splitlines())
                yield f"{path.relative_to(PACKAGE)}:{node.name}", lines


def test_public_functions_and_classes_say_what_they_are() -> None:
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in modules()
        for node in tree_of(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and not (isinstance(node, ast.ClassDef) and says_it_all(node))
    ]
    assert not silent, "no docstring:\n" + "\n".join(silent)


def says_it_all(node: ast.ClassDef) -> bool:
    """A dataclass of one or two fields whose name is the whole story, like `StopTone(leg_id)`."""
    return bool(node.decorator_list) and len(node.body) <= 3


FOREIGN = re.compile(
    r"(?<![\w.-])/(?:tmp/k|work|root|home/\w+)/"
    r"|\b(?:files\.)?python" + r"hosted\.org|\bpypi" + r"\.org|registry\." + r"npmjs|deb\." + r"debian\.org"
)  # fmt: skip


def tracked_files() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.split("\0"):
        if name:
            yield ROOT / name


def tracked_texts() -> Iterator[Path]:
    for path in tracked_files():
        if path.is_file() and b"\0" not in path.read_bytes()[:4096]:
            yield path


def test_no_file_names_this_machine_or_a_registry() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number} {match.group()}"
        for path in tracked_texts()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if (match := FOREIGN.search(line))
    ]
    assert not found, "\n".join(found)


ROOT_FOLDERS = {".ci", "configs", "docs", "kallglot_media", "scripts", "tests"}
ROOT_FILES = {"CHANGELOG.md", "LICENSE", "Makefile", "NOTICE", "README.md", "constraints.txt", "pyproject.toml"}


def test_nothing_lies_about_in_the_root() -> None:
    """Unpacked models, recordings and virtual environments do not belong into the tree."""
    assert {path.relative_to(ROOT).parts[0] for path in tracked_files()} <= ROOT_FOLDERS | ROOT_FILES | {".gitignore"}
