"""Whose RTP a leg believes.

Whoever finds an open port could otherwise speak into the call, or have it sent to himself
(RTPbleed). So RTP is taken from the address that the SDP named and from nowhere else, with one
exception that telephones need: behind NAT the RTP comes from somewhere else than the
SDP says. The lock then follows, once, and only before anything came from the right place:

- another port of the same host: whoever sends from there could be in the SDP as well;
- another host, where `allow_latch` permits it, for `latch_s` after SetRemote, and only for
  packets whose numbers follow each other, so that a shot in the dark does not win.
"""

from __future__ import annotations

Address = tuple[str, int]

_IN_A_ROW = 4
"""Packets of one stream before another host is believed."""


class SourceLock:
    """Decides for each packet whether it comes from the leg's peer.

    remote   where RTP comes from and goes to: the SDP's address, or the one learnt
    latched  how often another address was learnt
    """

    def __init__(self, *, allow_latch: bool, latch_s: float) -> None:
        self.remote: Address | None = None
        self.latched = 0
        self._negotiated: Address | None = None
        self._allow_latch = allow_latch
        self._latch_s = latch_s
        self._since_s = 0.0
        self._sure = False
        self._candidate: Address | None = None
        self._candidate_sequence = 0
        self._in_a_row = 0

    @property
    def is_sure(self) -> bool:
        """Whether RTP came from `remote`, so that it stays until the SDP names another."""
        return self._sure

    def set(self, remote: Address, now_s: float) -> None:
        """The SDP names `remote`. The same again (a re-INVITE that changes other things) keeps what was learnt."""
        if remote == self._negotiated:
            return
        self.remote = self._negotiated = remote
        self._since_s = now_s
        self._sure = False
        self._candidate = None

    def accepts(self, source: Address, sequence: int, now_s: float) -> bool:
        """Whether an RTP packet from `source` is the peer's; may learn `source` as its address."""
        if source == self.remote:
            self._sure = True
            return True
        if self._sure or self._negotiated is None or not self._may_learn(source, sequence, now_s):
            return False
        self.remote = source
        self.latched += 1
        self._sure = True
        return True

    def _may_learn(self, source: Address, sequence: int, now_s: float) -> bool:
        if self._negotiated is not None and source[0] == self._negotiated[0]:
            return True
        if not self._allow_latch or now_s - self._since_s > self._latch_s:
            return False
        follows = source == self._candidate and (sequence - self._candidate_sequence) & 0xFFFF == 1
        self._in_a_row = self._in_a_row + 1 if follows else 1
        self._candidate, self._candidate_sequence = source, sequence
        return self._in_a_row >= _IN_A_ROW
