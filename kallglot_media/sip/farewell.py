"""BYE, RFC 3261 section 15.1.1: sent, and sent again when it was challenged or could not be delivered."""

from __future__ import annotations

from collections.abc import Sequence

from kallglot_media.sip.call import Wire
from kallglot_media.sip.dialog import Dialog
from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.routing import peer_of
from kallglot_media.sip.signing import Signer


class Farewell:
    """The one BYE of a call. transactions: the call's set of open keys, which this adds to."""

    def __init__(self, call: str, wire: Wire, transactions: set[str], signer: Signer | None = None) -> None:
        self._call = call
        self._wire = wire
        self._transactions = transactions
        self._signer = signer
        self._dialog: Dialog | None = None
        self._request: Request | None = None
        self._peer: Peer | None = None
        self._key = ""
        self._went_round = False

    def send(
        self,
        dialog: Dialog,
        flow: Peer,
        now_s: float,
        *,
        behind_nat: bool = False,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """BYE in `dialog`, signed with what the INVITE was asked for."""
        self._dialog = dialog
        bye = dialog.request("BYE", headers=headers)
        if self._signer is not None:
            self._signer.sign(bye)
        self._send(bye, self._wire.way_to(dialog.next_hop, flow, behind_nat=behind_nat), now_s)

    def is_done(self, key: str, response: Response, now_s: float) -> bool:
        """A response came: True when it ends the call, False when it is another transaction's, or BYE goes out again.

        "If the response for the BYE is a 481 … or 408 … or no response at all is received …, the UAC
        MUST consider the session and the dialog terminated": so does any other final one.
        """
        if key != self._key or response.status < 200:
            return False
        if self._signer is None or not self._signer.can_answer(response):
            return True
        assert self._dialog is not None
        assert self._request is not None
        assert self._peer is not None
        self._dialog.local_cseq += 1
        self._send(self._signer.again(self._request, self._dialog.local_cseq), self._peer, now_s)
        return False

    def has_failed(self, key: str, status: int, now_s: float) -> bool:
        """It timed out (408) or was not delivered (503): True when there is no other way to try.

        The connection that the call came over may be gone; RFC 3261 18.4 and 12.2.1.1 leave the address in Contact.
        """
        if key != self._key:
            return False
        dialog, request, peer = self._dialog, self._request, self._peer
        if status != 503 or self._went_round or dialog is None or request is None or peer is None:
            return True
        named = peer_of(dialog.next_hop, peer)
        if named is None or named == peer or not self._wire.speaks(named):
            return True
        self._went_round = True
        dialog.local_cseq += 1
        again = Request("BYE", request.uri, request.headers.copy())
        again.headers.set("CSeq", f"{dialog.local_cseq} BYE")
        self._send(again, named, now_s)
        return False

    def _send(self, bye: Request, to: Peer, now_s: float) -> None:
        self._request, self._peer = bye, to
        self._key = self._wire.send_request(self._call, bye, to, now_s)
        self._transactions.add(self._key)
