"""`base:` in a mode file: what it does not say, the base file says. Mappings are merged, everything else is replaced.

Each setting keeps the file and the line it is written in, so that a mistake is named where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kallglot_media.config.reader import Loc, Tree, is_file, read_file, shown

MOST_BASES = 8


def inherited(tree: Tree, path: Path) -> Tree:
    """The tree with its bases under it; mistakes about bases are noted in it."""
    return _with_base(tree, path, (path,))


def _with_base(tree: Tree, path: Path, chain: tuple[Path, ...]) -> Tree:
    top = tree.value
    named = top.get("base") if isinstance(top, Mapping) else None
    if not isinstance(named, str) or not named or "\0" in named:
        return tree  # no base, or one that the model's own check calls wrong
    base_path = (path.parent / Path(named).expanduser()).resolve()
    if not is_file(base_path):
        tree.blame(("base",), f"names {shown(base_path)}, which is no file", "write that file, or leave base: out")
        return tree
    if base_path in [one.resolve() for one in chain] or len(chain) > MOST_BASES:
        tree.blame(("base",), f"leads back to {shown(base_path)}", "let the last base have no base: of its own")
        return tree
    base = read_file(base_path)
    base.sources = [base_path]
    base = _with_base(base, base_path, (*chain, base_path))
    if base.value is not None and not isinstance(base.value, Mapping):
        base.blame((), "is no mapping of settings", "write settings as in any mode file")
    return _Merge(tree, base, base_path.parent).tree()


class _Merge:
    def __init__(self, over: Tree, under: Tree, folder: Path) -> None:
        self._over = over
        self._under = under
        self._folder = folder
        self._made = Tree(over.name, files=dict(over.files), folders=dict(over.folders), lines=dict(over.lines))

    def tree(self) -> Tree:
        under = self._under.value if isinstance(self._under.value, Mapping) else {}
        under = {name: value for name, value in under.items() if name != "base"}
        self._made.value = self._merged(self._over.value, under, ())
        self._made.sources = [*self._under.sources, *self._over.sources]
        self._made.take_mistakes(self._under)
        self._made.take_mistakes(self._over)
        return self._made

    def _merged(self, over: object, under: Mapping[str, object], loc: Loc) -> object:
        if not isinstance(over, Mapping):
            return over
        merged: dict[str, object] = dict(over)
        for name, value in under.items():
            place = (*loc, name)
            if name not in over:
                merged[name] = value
                self._take_places(place)
            elif isinstance(value, Mapping):
                merged[name] = self._merged(over[name], value, place)
        return merged

    def _take_places(self, place: Loc) -> None:
        """What is taken over stands in the base file."""
        for loc, line in self._under.lines.items():
            if loc[: len(place)] == place:
                self._made.lines[loc] = line
                self._made.files[loc] = self._under.files.get(loc, self._under.name)
                self._made.folders[loc] = self._under.folders.get(loc, self._folder)
