"""The line in front of one kind of engine: bounded, the earliest deadline first, what can wait last."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from kallglot_media.speech.types import EngineBusy

T = TypeVar("T")


@dataclass(order=True, slots=True)
class _Place(Generic[T]):
    can_wait: bool
    due_s: float
    arrival: int
    item: T = field(compare=False)
    left: bool = field(default=False, compare=False)


class Line(Generic[T]):
    """Items wait in order of `due_s`; equal ones in order of arrival; those that can wait behind all others.

    line = Line("recognizer", longest=2)
    line.join("b", due_s=9.0); line.join("a", due_s=5.0)
    line.next() == "a"
    """

    def __init__(self, name: str, longest: int) -> None:
        self._name = name
        self._longest = longest
        self._heap: list[_Place[T]] = []
        self._arrivals = itertools.count()
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def join(self, item: T, due_s: float, *, can_wait: bool = False) -> _Place[T]:
        """Take a place; raises EngineBusy when the line is as long as it may be.

        can_wait: nothing is lost if its turn never comes; half of the line is not for such ones.
        """
        if self._waiting >= (self._longest // 2 if can_wait else self._longest):
            raise EngineBusy(
                f"{self._waiting} jobs wait for the {self._name}; "
                f"raise speech.{self._name}.workers or take fewer calls at once"
            )
        place = _Place(can_wait, due_s, next(self._arrivals), item)
        heapq.heappush(self._heap, place)
        self._waiting += 1
        return place

    def leave(self, place: _Place[T]) -> None:
        """Give up a place before its turn; nothing happens when its turn has come already."""
        if not place.left:
            place.left = True
            self._waiting -= 1

    def alike(self, fits: Callable[[T], bool], most: int, *, can_wait: bool) -> list[T]:
        """Up to `most` that fit, in their order, taken out of the line. can_wait: only of those that can, or cannot."""
        taken: list[T] = []
        for place in sorted(place for place in self._heap if not place.left and place.can_wait is can_wait):
            if len(taken) >= most:
                break
            if fits(place.item):
                self.leave(place)
                taken.append(place.item)
        return taken

    def next(self) -> T | None:
        """Whose turn it is, taken out of the line; None when nobody waits."""
        while self._heap:
            place = heapq.heappop(self._heap)
            if not place.left:
                place.left = True
                self._waiting -= 1
                return place.item
        return None
