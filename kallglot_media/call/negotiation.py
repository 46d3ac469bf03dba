"""Offers and answers of one leg (RFC 3264): on which terms, who listens, and what media is told they came to."""

from __future__ import annotations

from dataclasses import replace

from kallglot_media.call.leg_media import set_remote, set_text
from kallglot_media.call.leg_state import MediaTerms
from kallglot_media.call.ports import Media
from kallglot_media.sdp.session import SdpSession
from kallglot_media.sdp.types import Agreed, MediaAbility, NotAcceptable, SdpError


class Negotiation:
    """One leg's, over all its descriptions. What cannot be used raises SdpError or NotAcceptable.

    ability  what the leg's RTP port can do; None: it has none (yet, or any more)
    terms    what is otherwise with this peer
    agreed   what both agreed on last
    held     whether we hold the peer: we do not listen, and say so
    has_text whether a text line is offered, so that media is told what became of it, RFC 4103
    """

    def __init__(self, leg_id: str, sdp_id: int, media: Media) -> None:
        self.ability: MediaAbility | None = None
        self.terms = MediaTerms()
        self.agreed: Agreed | None = None
        self.held = False
        self.has_text = False
        self._leg_id = leg_id
        self._sdp = SdpSession(sdp_id)
        self._media = media
        self._awaits_answer = False  # our 18x or 200 had the offer: the PRACK or ACK has the answer

    # ── we describe ──────────────────────────────────────────────────────────────

    def offer(self) -> bytes:
        """Our offer, first or again."""
        return self._sdp.offer(self._our_ability())

    def answer(self, offer: bytes | None) -> bytes:
        """The description for a response of ours: an answer, or an offer when the request had none."""
        if offer is None:
            self._awaits_answer = True
            return self.offer()
        body, agreed = self._sdp.answer(offer, self._our_ability())
        self._agree(agreed)
        return body

    def answer_another(self, offer: bytes | None, sdp_id: int, terms: MediaTerms) -> bytes:
        """The same for a call that takes the place of ours, on other terms; ours goes on when that cannot be."""
        old_sdp, self._sdp = self._sdp, SdpSession(sdp_id)
        old_terms, self.terms = self.terms, terms
        self.held, self._awaits_answer = False, False
        try:
            return self.answer(offer)
        except (SdpError, NotAcceptable):
            self._sdp, self.terms = old_sdp, old_terms
            raise

    # ── the peer describes ───────────────────────────────────────────────────────

    def take_answer(self, answer: bytes) -> None:
        """The answer to our offer."""
        self._agree(self._sdp.read_answer(answer))

    def take_confirmation(self, answer: bytes | None) -> None:
        """A PRACK or an ACK: it has the answer if the response before it had the offer."""
        if not self._awaits_answer:
            return
        self._awaits_answer = False
        if answer is None:
            raise NotAcceptable(304, "the ACK has no session description, our 200 had the offer")
        self.take_answer(answer)

    # ── what it came to ──────────────────────────────────────────────────────────

    def wait_for_rtp_anew(self) -> None:
        """Who is still ringing need not send, so the time before the answer does not count."""
        if self.agreed is not None:
            self._agree(self.agreed)

    @property
    def peer_holds(self) -> bool:
        """A peer that will not listen (a=sendonly, a=inactive, c=0.0.0.0) has put us on hold."""
        return self.agreed is not None and not self.agreed.send

    @property
    def why_no_text(self) -> str | None:
        """Why the peer is shown no real-time text; None: it is."""
        if self.ability is None or self.ability.text is None:
            return "no port was left for it"
        return "the phone has no text line" if self.agreed is None or self.agreed.text is None else None

    def offer_failed(self) -> None:
        """Our last offer is void: we listen or not as was agreed before."""
        self.held = self.agreed is not None and not self.agreed.receive

    def _agree(self, agreed: Agreed) -> None:
        self.agreed = agreed
        self._media.send(set_remote(self._leg_id, agreed))
        if self.has_text:
            self._media.send(set_text(self._leg_id, agreed.text))

    def _our_ability(self) -> MediaAbility:
        if self.ability is None:
            raise RuntimeError(f"leg {self._leg_id} has no RTP port; open() it first")
        ability = self.terms.applied(self.ability)
        return replace(ability, receive=False) if self.held else ability
