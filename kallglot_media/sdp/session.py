"""One side of a negotiated session over its re-offers. RFC 3264 section 8.

"the version in the origin field MUST increment by one from the previous SDP" when
anything else changed, and an m-line, once there, keeps its place for good.
"""

from __future__ import annotations

from dataclasses import replace

from kallglot_media.sdp.answer import answer_media, read_answer
from kallglot_media.sdp.offer import offered_lines, refused_lines, write_session
from kallglot_media.sdp.parse import parse_sdp
from kallglot_media.sdp.text import offered_text
from kallglot_media.sdp.types import Agreed, AgreedText, MediaAbility, MediaLine


class SdpSession:
    """Offers and answers of one leg, with one session id and a version that counts changes.

    session_id  any number below 2**63, e.g. `ids.rtp_timestamp()`
    """

    def __init__(self, session_id: int) -> None:
        self._session_id = session_id
        self._version = 1
        self._last: bytes | None = None
        self._lines: tuple[MediaLine, ...] = ()
        self._audio_index = 0
        self._text_index: int | None = None
        self._text: AgreedText | None = None  # as last answered by us
        self._dtmf_payload_type: int | None = None
        self._protocol: str | None = None  # of the audio line, once it is agreed
        self._rtcp_mux = False
        self._keyed = False  # SRTP with keys in SDP is agreed
        self._offered: MediaAbility | None = None
        self._answered: Agreed | None = None

    def offer(self, ability: MediaAbility) -> bytes:
        """Our offer, first or again: lines that were refused before stay, with port 0."""
        if ability.dtmf_payload_type is not None and self._dtmf_payload_type is not None:
            ability = replace(ability, dtmf_payload_type=self._dtmf_payload_type)
        if self._keyed:
            ability = replace(ability, offer_keys=True)
        sections = [refused_lines(line) for line in self._lines] or [[]]
        sections[self._audio_index] = offered_lines(ability, protocol=self._protocol, rtcp_mux=self._rtcp_mux)
        ability = self._offer_text(ability, sections)
        self._offered, self._answered = ability, None
        return self._write(ability, sections)

    def _offer_text(self, ability: MediaAbility, sections: list[list[str]]) -> MediaAbility:
        """The text line in its place, or after all others; its numbers stay, RFC 3264 section 8.3.2."""
        if ability.text is not None and self._text is not None:
            numbers = self._text.receive_text_payload_type, self._text.receive_red_payload_type
            text = replace(ability.text, text_payload_type=numbers[0], red_payload_type=numbers[1])
            ability = replace(ability, text=text)
        index = self._text_index if self._text_index is not None else len(sections)
        known = self._lines[index].protocol if index < len(self._lines) else None
        section = offered_text(ability, known or self._protocol)
        if section is None:
            return ability
        self._text_index = index
        sections[index : index + 1] = [section]
        return ability

    def answer(self, offer: bytes, ability: MediaAbility) -> tuple[bytes, Agreed]:
        """Like `make_answer`, and remembered for the next offer. Raises SdpError, NotAcceptable."""
        description = parse_sdp(offer)
        answer = answer_media(description, ability)
        self._lines = description.media
        self._audio_index = answer.audio_index
        self._text, self._text_index = answer.agreed.text, answer.text_index
        if self._text_index is None:  # refused, or held: its place stays
            self._text_index = next((n for n, line in enumerate(self._lines) if line.kind == "text"), None)
        self._dtmf_payload_type = answer.agreed.dtmf_receive_payload_type
        self._protocol = description.media[answer.audio_index].protocol
        self._rtcp_mux = answer.agreed.rtcp_mux
        self._keyed = answer.agreed.keys is not None
        self._offered, self._answered = replace(ability, codecs=(answer.agreed.codec,)), answer.agreed
        return self._write(ability, answer.sections), answer.agreed

    def read_answer(self, answer: bytes) -> Agreed:
        """What the answer to our last `offer` comes to, or to our last answer when that was offered again unchanged
        (a refresh of the session, RFC 4028 section 7.4). Raises SdpError, NotAcceptable."""
        if self._offered is None:
            raise RuntimeError("read_answer without an offer of ours before it")
        agreed = read_answer(self._offered, answer, audio_index=self._audio_index, text_index=self._text_index)
        self._keyed = agreed.keys is not None
        if self._answered is None:
            return agreed
        ours = self._answered
        return replace(
            agreed,
            receive_payload_type=ours.receive_payload_type,
            dtmf_receive_payload_type=ours.dtmf_receive_payload_type,
        )

    def _write(self, ability: MediaAbility, sections: list[list[str]]) -> bytes:
        body = self._numbered(ability, sections)
        if self._last is not None and body != self._last:
            self._version += 1
            body = self._numbered(ability, sections)
        self._last = body
        return body

    def _numbered(self, ability: MediaAbility, sections: list[list[str]]) -> bytes:
        return write_session(
            replace(ability, session_id=self._session_id, session_version=self._version),
            sections,
        )
