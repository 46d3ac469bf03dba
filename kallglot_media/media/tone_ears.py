"""Keys that peers press: as tones, where they have agreed to no other way (audio/tone_keys.py), or told as events."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.tone_keys import KEY_NAMES, ToneKeys, look
from kallglot_media.media.leg import Leg
from kallglot_media.media.messages import Dtmf


class ToneEars:
    """Looks at all such legs at once."""

    def __init__(self) -> None:
        self._legs: list[Leg] = []
        self._slots: list[int] = []
        self._ears: dict[str, ToneKeys] = {}
        self._busy: set[int] = set()  # places in _legs where something has begun

    def arrange(self, legs: Iterable[Leg]) -> None:
        """Legs came, went or changed."""
        self._legs = [leg for leg in legs if leg.remote is not None and leg.remote.dtmf_receive_payload_type is None]
        self._slots = [leg.slot for leg in self._legs]
        self._ears = {leg.leg_id: self._ears.get(leg.leg_id) or ToneKeys() for leg in self._legs}
        self._busy = {n for n, leg in enumerate(self._legs) if not self._ears[leg.leg_id].is_idle}

    def hear(self, heard: Pcm16, position: Callable[[Leg], int]) -> list[Dtmf]:
        """heard: int16[rows, 160] of this tick. Keys that were let go."""
        if not self._legs:
            return []
        found = []
        keys, shares = look(heard[self._slots])
        sounding = shares.nonzero()[0].tolist()
        for n in sorted({*sounding, *self._busy}):
            leg = self._legs[n]
            ears = self._ears[leg.leg_id]
            if (pressed := ears.push(KEY_NAMES[keys[n]], float(shares[n]))) is not None:
                leg.counters["dtmf_heard"] += 1
                found.append(Dtmf(leg.leg_id, *pressed, position(leg)))
            (self._busy.discard if ears.is_idle else self._busy.add)(n)
        return found


class PressedKeys:
    """The legs whose peers press keys, by telephone-event."""

    def __init__(self) -> None:
        self._legs: dict[int, Leg] = {}

    def pressed(self, leg: Leg) -> None:
        """A packet of a key came."""
        self._legs[leg.slot] = leg

    def forget(self, leg: Leg) -> None:
        """The leg goes away."""
        self._legs.pop(leg.slot, None)

    def take(self, position: Callable[[Leg], int]) -> list[Dtmf]:
        """Keys that were let go since the last tick."""
        events: list[Dtmf] = []
        for slot, leg in list(self._legs.items()):
            at = position(leg)
            events += [Dtmf(leg.leg_id, it.digit, it.duration_ms, at) for it in leg.take_presses()]
            if not leg.keys_busy:
                del self._legs[slot]
        return events
