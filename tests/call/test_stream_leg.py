"""A party on a WebSocket: what its client is told, and when it is told nothing any more."""

from __future__ import annotations

from kallglot_media.call.stream_leg import StreamLeg
from kallglot_media.media.messages import OpenStreamLeg, StreamAudioIn, StreamAudioOut, ToMedia
from kallglot_media.modes.plan import Party


class Plane:
    """Keeps what the media plane is sent."""

    def __init__(self) -> None:
        self.sent: list[ToMedia] = []

    def send(self, message: ToMedia) -> None:
        self.sent.append(message)


async def test_the_client_is_told_to_throw_sound_away_until_it_is_gone() -> None:
    plane = Plane()
    leg = StreamLeg(session_id="s", party=Party.CUSTOMER, media=plane, call_id="c", number=1)  # type: ignore[arg-type]
    leg.clear()
    leg.say(StreamAudioOut("s/customer", 0, b"nobody hears it"))
    told: list[object] = []
    leg.on_clear = lambda who: told.append(who)
    leg.on_sound = lambda who, first_sample, sound: told.append((who, first_sample, sound))
    leg.say(StreamAudioOut("s/customer", 160, b"x"))
    leg.clear()
    assert told == [(leg, 160, b"x"), leg]
    leg.unbind()
    leg.clear()
    leg.say(StreamAudioOut("s/customer", 320, b"y"))
    assert len(told) == 2


async def test_sound_is_taken_once_the_leg_is_open() -> None:
    plane = Plane()
    leg = StreamLeg(session_id="s", party=Party.AGENT, media=plane, call_id="c", number=2)  # type: ignore[arg-type]
    leg.hear(b"early")
    leg.open()
    leg.hear(b"now")
    assert plane.sent == [OpenStreamLeg("s", "s/agent.2", Party.AGENT), StreamAudioIn("s/agent.2", b"now")]
    assert leg.was_heard
