"""Patterns of dialled numbers: `*` stands for any characters, `?` for one."""

from __future__ import annotations

ANY, ONE = object(), object()
"""The wildcards `*` and `?` as tokens, so that a dialled `*` stays a key of the phone."""


def tokens(pattern: str) -> tuple[object, ...]:
    """A pattern as covers() compares it."""
    return tuple({"*": ANY, "?": ONE}.get(char, char) for char in pattern)


def covers(pattern: str, narrow: tuple[object, ...]) -> bool:
    """Whether `pattern` matches everything that `narrow` stands for: a dialled number, or another pattern.

    covers("+49*", tuple("+4930123")) -> True
    """
    wide = tokens(pattern)
    reachable = _skip_any(wide, {0})
    for token in narrow:
        stay = {at for at in reachable if at < len(wide) and wide[at] is ANY}
        step = {
            at + 1
            for at in reachable
            if at < len(wide) and wide[at] is not ANY and token is not ANY and wide[at] in (token, ONE)
        }
        reachable = _skip_any(wide, stay | step)
    return len(wide) in reachable


def _skip_any(wide: tuple[object, ...], places: set[int]) -> set[int]:
    """`*` may stand for nothing: every place that lies behind one is reached too."""
    reached = set(places)
    for at in range(len(wide)):
        if at in reached and wide[at] is ANY:
            reached.add(at + 1)
    return reached
