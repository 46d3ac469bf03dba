"""One party's connection: a SIP call and its media leg; negotiation.py is what both agree on.

A Leg turns SIP events into three things a session can wait for: `progress` (a callback),
`outcome` (answered or failed, for a leg that we dialled) and `ended`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call.leg_media import Texts
from kallglot_media.call.leg_state import LegEnd as LegEnd
from kallglot_media.call.leg_state import LegState as LegState
from kallglot_media.call.leg_state import MediaHome as MediaHome
from kallglot_media.call.negotiation import Negotiation
from kallglot_media.call.ports import Media, Signalling, SipHeaders
from kallglot_media.media.messages import CloseLeg, Listen, OpenLeg, SendDtmf, SendText
from kallglot_media.modes.plan import Party
from kallglot_media.sdp.types import NotAcceptable, SdpError
from kallglot_media.sip.events import (
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallFailed,
    CallProgress,
    EndedBy,
    KeyPressed,
    MediaOffered,
    MessageReceived,
    OfferAnswered,
    OfferFailed,
    Peer,
    ProgressConfirmed,
    SipEvent,
    TransferAsked,
    TransferProgress,
)
from kallglot_media.sip.settings import Credentials

KEY_MS = 160
"""How long a key is pressed that we pass on."""


class Leg:
    """See the module. All methods are called on the control loop; none waits except open().

    call_id    its public name; number: how many legs of this party the session has had, with this one
    connected  whether it ever was answered
    since      state -> the time of day it came to be so, ISO 8601
    on_change  called when `state` is another
    peer_holds whether the peer holds us: it does not listen, and may be silent
    real_time_text  whether a text line is offered and agreed to, RFC 4103; to be set before open()
    on_hold    called when `peer_holds` is another
    on_transfer  called when the peer asks for a transfer; refused unless set
    on_refer     called with news of the transfer that we asked the peer for
    """

    provider = "sip"

    def __init__(
        self,
        *,
        session_id: str,
        party: Party,
        sdp_id: int,
        home: MediaHome,
        signalling: Signalling,
        media: Media,
        bind: Callable[[str, Leg], None],
        call_id: str = "",
        number: int = 1,
    ) -> None:
        self.party = party
        self.call_id = call_id
        self.leg_id = f"{session_id}/{party}" if number == 1 else f"{session_id}/{party}.{number}"
        self.sip_call: str | None = None
        self.state = LegState.NEW
        self.direction = "inbound"
        self.to: str | None = None
        self.from_: str | None = None
        self.connected = False
        self.had_media = False
        self.since: dict[LegState, str] = {}
        self.on_change: Callable[[Leg], None] = lambda leg: None
        self.on_hold: Callable[[Leg], None] = lambda leg: None
        self.on_key: Callable[[Leg, str], None] = lambda leg, key: None
        self.on_words: Callable[[Leg, str], None] = lambda leg, text: None
        self.on_transfer: Callable[[Leg, TransferAsked], None] = self._refuse_transfer
        self.on_refer: Callable[[Leg, TransferProgress], None] = lambda leg, progress: None
        self.real_time_text = False
        self.peer_holds = False
        self.has_early_media = False
        loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[CallAnswered | CallFailed] = loop.create_future()
        self.ended: asyncio.Future[LegEnd] = loop.create_future()
        self.on_progress: Callable[[CallProgress], None] = lambda progress: None
        self._session_id = session_id
        self._home = home
        self._signalling = signalling
        self._media = media
        self._bind = bind
        self._negotiation = Negotiation(self.leg_id, sdp_id, media)
        self.texts = Texts()
        self._replaced: set[str] = set()

    # ── media ────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Get an RTP port. Raises media.link.MediaError when there is none."""
        opened = await self._media.open_leg(
            OpenLeg(self._session_id, self.leg_id, self.party, self._home.bind_host, self.real_time_text)
        )
        self._negotiation.has_text = self.real_time_text
        self._negotiation.ability = self._home.ability(opened.port, opened.fingerprint, opened.text_port)
        self.had_media = True

    def listen(self, rules: SegmentRules | None) -> None:
        """Cut this leg's voice into utterances, or stop doing so."""
        self._media.send(Listen(self.leg_id, rules))

    def press(self, key: str) -> None:
        """A key for the peer: RFC 4733 where that is agreed, else INFO. Nothing before the call is up."""
        agreed = self._negotiation.agreed
        if agreed is None or self.state is not LegState.ANSWERED or self.sip_call is None:
            return
        if agreed.dtmf_send_payload_type is not None:
            self._media.send(SendDtmf(self.leg_id, key))
        else:
            self._signalling.press_key(self.sip_call, key, KEY_MS)

    @property
    def why_no_text(self) -> str | None:
        """Why the peer is shown no real-time text; None: it is."""
        return self._negotiation.why_no_text

    def show(self, text: str) -> None:
        """Characters for the screen of a peer that agreed to real-time text."""
        self.texts.put += 1
        self._media.send(SendText(self.leg_id, text))

    def close_media(self) -> None:
        """Give the RTP port back; what is being said is flushed as a last utterance."""
        if self._negotiation.ability is not None:
            self._media.send(CloseLeg(self.leg_id))
            self._negotiation.ability = None

    # ── hold ─────────────────────────────────────────────────────────────────────

    @property
    def held(self) -> bool:
        """Whether we hold the peer: it may hear music, and we do not listen."""
        return self._negotiation.held

    def hold(self) -> None:
        """Tell the peer to wait: "a=sendonly" (RFC 3264 section 8.4), so that it may hear music meanwhile."""
        self._set_held(True)

    def resume(self) -> None:
        """Talk again."""
        self._set_held(False)

    def _set_held(self, held: bool) -> None:
        negotiation = self._negotiation
        if negotiation.held is held or self.state is not LegState.ANSWERED or negotiation.ability is None:
            return
        negotiation.held = held
        if self.sip_call is not None:
            self._signalling.reoffer(self.sip_call, negotiation.offer())

    def _note_peer_hold(self) -> None:
        holds = self._negotiation.peer_holds
        if holds is not self.peer_holds:
            self.peer_holds = holds
            self.on_hold(self)

    # ── a call that came to us ───────────────────────────────────────────────────

    def take_call(self, sip_call: str, source: Peer) -> None:
        """Bind to an incoming call, so that its events arrive here."""
        self.sip_call = sip_call
        self._negotiation.terms = self._home.terms.caller(source)
        self._bind(sip_call, self)
        self._become(LegState.EARLY)

    def take_offer(self, offer: bytes | None) -> bytes:
        """The SDP for our 18x and 200: an answer, or an offer when the INVITE had none.

        Raises SdpError or NotAcceptable: reject the call with 400 or 488.
        """
        return self._negotiation.answer(offer)

    def answered_by_us(self) -> None:
        """Our 200 is out: from now on silence on the line is a fault."""
        self._become(LegState.ANSWERED)
        self._negotiation.wait_for_rtp_anew()

    def rejected_by_us(self, status: int, reason: str) -> None:
        """Our final response is out: the call never was one."""
        self._end(LegEnd(EndedBy.LOCAL, status, reason))

    def take_over(self, sip_call: str, source: Peer, offer: bytes | None, sdp_id: int) -> bytes:
        """Another call takes the place of ours, in mid-conversation (Replaces, RFC 3891); the SDP for our 200.

        The RTP port stays. What is still heard of the old call concerns nobody. Raises as take_offer() does.
        """
        body = self._negotiation.answer_another(offer, sdp_id, self._home.terms.caller(source))
        if self.sip_call is not None:
            self._replaced.add(self.sip_call)
        self.sip_call = sip_call
        self._bind(sip_call, self)
        self._note_peer_hold()
        return body

    def _refuse_transfer(self, leg: Leg, asked: TransferAsked) -> None:
        self._signalling.refuse_transfer(asked.call, 403)

    # ── a call that we make ──────────────────────────────────────────────────────

    async def dial(
        self, to: str, from_: str, *, headers: SipHeaders = (), credentials: Credentials | None = None
    ) -> None:
        """Send the INVITE; `outcome` says what came of it. Raises DialError."""
        self._negotiation.terms = self._home.terms.destination(to)
        body = self._negotiation.offer()
        self.sip_call = await self._signalling.dial(
            to=to, from_=from_, sdp=body, headers=headers, credentials=credentials
        )
        self.direction, self.to, self.from_ = "outbound", to, from_
        self._bind(self.sip_call, self)
        self._become(LegState.EARLY)

    # ── ending ───────────────────────────────────────────────────────────────────

    def hang_up(self, reason: str | None = None) -> None:
        """BYE, CANCEL or a final response, whichever fits; nothing when it is over already."""
        if self.sip_call is not None and self.state in (LegState.EARLY, LegState.ANSWERED):
            self._signalling.hangup(self.sip_call, reason=reason)
        self._end(LegEnd(EndedBy.LOCAL, 0, reason or "hung up by us"))

    def _end(self, end: LegEnd) -> None:
        if not self.ended.done():
            self.ended.set_result(end)
        self._become(LegState.ENDED)

    def _become(self, state: LegState) -> None:
        if state is not self.state:
            self.state = state
            self.connected = self.connected or state is LegState.ANSWERED
            self.on_change(self)

    # ── SIP events ───────────────────────────────────────────────────────────────

    def on_sip(self, event: SipEvent) -> None:
        """Take one of the SIP agent's events about this leg's call."""
        if event.call in self._replaced:
            return  # another call has taken its place
        if isinstance(event, CallFailed):
            self._failed(event)
        elif self.ended.done():
            self._too_late(event)
        elif isinstance(event, CallProgress):
            self._progressed(event)
        elif isinstance(event, CallAnswered):
            self._answered(event)
        elif isinstance(event, CallConfirmed):
            self._confirmed(event)
        elif isinstance(event, KeyPressed):
            self.on_key(self, event.key)
        elif isinstance(event, MessageReceived):
            if event.content_type.partition(";")[0].strip().lower() == "text/plain":
                self.on_words(self, event.body.decode("utf-8", "replace").strip())
        elif isinstance(event, TransferAsked):
            self.on_transfer(self, event)
        elif isinstance(event, TransferProgress):
            self.on_refer(self, event)
        elif isinstance(event, ProgressConfirmed):
            self._progress_confirmed(event)
        elif isinstance(event, MediaOffered):
            self._offered(event)
        elif isinstance(event, OfferAnswered):
            self._reoffer_answered(event)
        elif isinstance(event, OfferFailed):
            self._negotiation.offer_failed()
        elif isinstance(event, CallEnded):
            self._end(LegEnd(event.by, event.status, event.reason))

    def _too_late(self, event: SipEvent) -> None:
        """It was on its way when we hung up: the agent sends BYE or refuses by itself, and the leg stays ended."""
        if isinstance(event, CallAnswered):
            self._decide(CallFailed(event.call, 487, "hung up before the answer came", event.response))

    def _progressed(self, event: CallProgress) -> None:
        if event.sdp is not None:
            try:
                self._negotiation.take_answer(event.sdp)
                self.has_early_media = True
            except (SdpError, NotAcceptable):
                # A provisional body that is no answer costs us the early media, not the call.
                self.has_early_media = False
        self.on_progress(event)

    def _answered(self, event: CallAnswered) -> None:
        try:
            if event.sdp is not None:
                self._negotiation.take_answer(event.sdp)
            elif self.has_early_media:
                self._negotiation.wait_for_rtp_anew()
            else:
                raise NotAcceptable(304, "the 200 has no session description")
        except (SdpError, NotAcceptable) as error:
            self.state = LegState.ANSWERED
            self.hang_up(f"the answer cannot be used: {error}")
            self._decide(CallFailed(event.call, 488, str(error), event.response))
            return
        self._become(LegState.ANSWERED)
        self._decide(event)

    def _failed(self, event: CallFailed) -> None:
        self._end(LegEnd(EndedBy.REMOTE, event.status, event.reason))
        self._decide(event)

    def _decide(self, event: CallAnswered | CallFailed) -> None:
        if not self.outcome.done():
            self.outcome.set_result(event)

    def _confirmed(self, event: CallConfirmed) -> None:
        try:
            self._negotiation.take_confirmation(event.sdp)
        except (SdpError, NotAcceptable) as error:
            self.hang_up(f"the answer cannot be used: {error}")

    def _offered(self, event: MediaOffered) -> None:
        """A re-INVITE: hold, resume, a new address. RFC 3261 section 14.2."""
        try:
            body = self._negotiation.answer(event.offer)
        except SdpError as error:
            self._signalling.refuse_offer(event.call, 400, headers=(("Warning", f'399 kallglot "{_quotable(error)}"'),))
            return
        except NotAcceptable as error:
            # "the UAS … SHOULD return a 488 … with a Warning header field" (14.2); the old session stands.
            self._signalling.refuse_offer(event.call, 488, headers=(("Warning", error.warning()),))
            return
        self._signalling.answer_offer(event.call, body)
        if event.offer is not None:
            self._note_peer_hold()

    def _reoffer_answered(self, event: OfferAnswered) -> None:
        """The answer to our hold, our resume, or to a refresh that brought news. None: nothing has changed."""
        if event.sdp is None:
            return
        try:
            self._negotiation.take_answer(event.sdp)
        except (SdpError, NotAcceptable) as error:
            self.hang_up(f"the answer cannot be used: {error}")
            return
        self._note_peer_hold()

    def _progress_confirmed(self, event: ProgressConfirmed) -> None:
        """The answer to the offer in our 18x came with its PRACK, not with the ACK. RFC 3262 section 5."""
        if event.sdp is not None:
            self._confirmed(CallConfirmed(event.call, event.sdp))


def session_of(leg_id: str) -> str:
    """The session that a leg belongs to: `session_of("sess_01J…/agent") == "sess_01J…"`."""
    return leg_id.partition("/")[0]


def _quotable(error: Exception) -> str:
    return str(error).replace("\\", " ").replace('"', "'")
