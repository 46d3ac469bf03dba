"""Slow readers: sound goes first, then partials, the rest never."""

from __future__ import annotations

import asyncio

from kallglot_media.call.bus import Bus, Mailbox, Rank
from kallglot_media.call.events import PartialTranscript, SessionEvent, SessionStarted
from kallglot_media.modes.plan import Party

SMALL = {Rank.SOUND: 2, Rank.PARTIAL: 1, Rank.KEPT: 3}


def drained(mailbox: Mailbox[str]) -> list[str]:
    items = []
    while (item := mailbox.take_nowait()) is not None:
        items.append(item)
    return items


def test_the_oldest_sound_makes_room_for_new_sound_and_for_nothing_else() -> None:
    mailbox: Mailbox[str] = Mailbox(SMALL)
    for item in ("sound 1", "sound 2"):
        mailbox.put(item, Rank.SOUND)
    mailbox.put("final 1")
    mailbox.put("sound 3", Rank.SOUND)
    mailbox.put("partial 1", Rank.PARTIAL)
    mailbox.put("partial 2", Rank.PARTIAL)
    assert drained(mailbox) == ["sound 2", "final 1", "sound 3", "partial 2"]
    assert mailbox.dropped == {Rank.SOUND: 1, Rank.PARTIAL: 1}


def test_a_reader_that_lets_finals_pile_up_is_cut_off_with_what_it_has() -> None:
    mailbox: Mailbox[str] = Mailbox(SMALL)
    for number in range(5):
        mailbox.put(f"final {number}")
    assert mailbox.overflowed
    assert drained(mailbox) == ["final 0", "final 1", "final 2"]


def test_sound_no_longer_wanted_is_taken_out_without_counting_as_lost() -> None:
    mailbox: Mailbox[str] = Mailbox(SMALL)
    mailbox.put("sound", Rank.SOUND)
    mailbox.put("final")
    assert mailbox.drop(Rank.SOUND) == 1
    assert (drained(mailbox), mailbox.dropped) == (["final"], {})


async def test_taking_waits_for_the_next_item_and_ends_when_the_mailbox_closes() -> None:
    mailbox: Mailbox[str] = Mailbox(SMALL)
    taking = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)
    mailbox.put("one")
    assert await taking == "one"
    ending = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)
    mailbox.close()
    assert await ending is None


def test_events_reach_the_watchers_of_their_session_and_those_of_all() -> None:
    bus = Bus()
    everything: list[SessionEvent] = []
    bus.listen(everything.append)
    mailbox: Mailbox[SessionEvent] = Mailbox({Rank.SOUND: 1, Rank.PARTIAL: 1, Rank.KEPT: 9})
    with bus.subscribe("sess_1", mailbox):
        bus.publish(SessionStarted("sess_1"))
        bus.publish(SessionStarted("sess_2"))
        for text in ("Gu", "Guten"):
            bus.publish(PartialTranscript("sess_1", Party.CUSTOMER, text, "de"))
    bus.publish(SessionStarted("sess_1"))
    assert [mailbox.take_nowait() for _ in range(3)] == [
        SessionStarted("sess_1"),
        PartialTranscript("sess_1", Party.CUSTOMER, "Guten", "de"),
        None,
    ]
    assert len(everything) == 5
