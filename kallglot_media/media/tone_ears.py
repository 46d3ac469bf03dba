"""Keys heard as tones, on the legs whose peer has agreed to send them in no other way (audio/tone_keys.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.tone_keys import ToneKeys, look
from kallglot_media.media.leg import Leg
from kallglot_media.media.messages import Dtmf


class ToneEars:
    """Looks at all such legs at once."""

    def __init__(self) -> None:
        self._legs: list[Leg] = []
        self._ears: dict[str, ToneKeys] = {}

    def arrange(self, legs: Iterable[Leg]) -> None:
        """Legs came, went or changed."""
        self._legs = [leg for leg in legs if leg.remote is not None and leg.remote.dtmf_receive_payload_type is None]
        self._ears = {leg.leg_id: self._ears.get(leg.leg_id) or ToneKeys() for leg in self._legs}

    def hear(self, heard: Pcm16, position: Callable[[Leg], int]) -> list[Dtmf]:
        """heard: int16[rows, 160] of this tick. Keys that were let go."""
        if not self._legs:
            return []
        found = []
        for leg, key, share in zip(self._legs, *look(heard[[leg.slot for leg in self._legs]]), strict=True):
            ears = self._ears[leg.leg_id]
            if (share or not ears.is_idle) and (pressed := ears.push(key, share)) is not None:
                leg.counters["dtmf_heard"] += 1
                found.append(Dtmf(leg.leg_id, *pressed, position(leg)))
        return found
