"""Who wants to know what happens in sessions, and how much of it may wait for a slow reader.

    with bus.subscribe("sess_01J…") as mailbox:       # or subscribe(None): of all sessions
        while (event := await mailbox.take()) is not None:
            …

Publishing never waits. A reader that is too slow loses what can best be missed: sound first,
then partial transcripts, never anything else; what was dropped is counted by kind. One that
lets even the rest pile up is cut off, and finds out by `overflowed`.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import Generic, Protocol, TypeVar

from kallglot_media.call.events import PartialTranscript, SessionEvent

T = TypeVar("T")


class Rank(IntEnum):
    """How badly something is missed."""

    SOUND = 0
    PARTIAL = 1
    KEPT = 2


MOST: Mapping[Rank, int] = {Rank.SOUND: 20, Rank.PARTIAL: 20, Rank.KEPT: 2000}
"""How many of each may wait. Sound comes in pieces of 100 ms."""


class Mailbox(Generic[T]):
    """A bounded line in front of one reader.

    dropped     what was thrown away since it was last taken out, by rank
    overflowed  the reader let more than the limit of KEPT pile up; nothing more is put in
    """

    def __init__(self, most: Mapping[Rank, int] = MOST) -> None:
        self.dropped: Counter[Rank] = Counter()
        self.overflowed = False
        self._most = most
        self._items: OrderedDict[int, tuple[Rank, T]] = OrderedDict()
        self._places: dict[Rank, deque[int]] = {rank: deque() for rank in Rank}
        self._next = 0
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T, rank: Rank = Rank.KEPT) -> None:
        """Add to the end; never waits. The oldest of the same rank makes room."""
        if self._closed:
            return
        places = self._places[rank]
        if len(places) >= self._most[rank]:
            if rank is Rank.KEPT:
                self.overflowed = True
                self.close()
                return
            del self._items[places.popleft()]
            self.dropped[rank] += 1
        self._items[self._next] = rank, item
        places.append(self._next)
        self._next += 1
        self._wake()

    def drop(self, rank: Rank, which: Callable[[T], bool] = lambda item: True) -> int:
        """Throw away what waits of one rank, as no longer wanted; how many. They do not count as dropped."""
        gone = [place for place in self._places[rank] if which(self._items[place][1])]
        for place in gone:
            del self._items[place]
            self._places[rank].remove(place)
        return len(gone)

    def take_nowait(self) -> T | None:
        """The oldest item, or None when nothing waits."""
        if not self._items:
            return None
        _, (rank, item) = self._items.popitem(last=False)
        self._places[rank].popleft()
        return item

    async def take(self) -> T | None:
        """The oldest item; waits for one. None when the mailbox is closed and empty."""
        while not self._items:
            if self._closed:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self.take_nowait()

    def close(self) -> None:
        """Nothing more comes in; what waits can still be taken."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Taker(Protocol):
    """A Mailbox, as those see it who put into it."""

    def put(self, item: SessionEvent, rank: Rank = Rank.KEPT) -> None: ...


class Bus:
    """The meeting point of sessions and those who watch them."""

    def __init__(self) -> None:
        self._of_session: dict[str, list[Taker]] = {}
        self._of_all: list[Callable[[SessionEvent], None]] = []

    def publish(self, event: SessionEvent) -> None:
        """Tell everybody who wants to know; never waits, and never raises for a slow reader."""
        for tell in self._of_all:
            tell(event)
        mailboxes = self._of_session.get(event.session_id)
        if mailboxes:
            rank = Rank.PARTIAL if isinstance(event, PartialTranscript) else Rank.KEPT
            for mailbox in mailboxes:
                mailbox.put(event, rank)

    @contextmanager
    def subscribe(self, session_id: str, mailbox: Taker) -> Iterator[None]:
        """Put one session's events into `mailbox` while the block lasts."""
        mailboxes = self._of_session.setdefault(session_id, [])
        mailboxes.append(mailbox)
        try:
            yield
        finally:
            mailboxes.remove(mailbox)
            if not mailboxes:
                self._of_session.pop(session_id, None)

    def is_watched(self, session_id: str) -> bool:
        """Whether anybody has subscribed to this session."""
        return session_id in self._of_session

    def listen(self, tell: Callable[[SessionEvent], None]) -> None:
        """Call `tell` with every event of every session, at once; it must neither wait nor raise."""
        self._of_all.append(tell)
