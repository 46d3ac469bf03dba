"""Early dialogs of an INVITE of ours, one for each fork that rings. RFC 3261 sections 12.1.2 and 13.2.2.4."""

from __future__ import annotations

from kallglot_media.sip.call import Wire
from kallglot_media.sip.dialog import Dialog
from kallglot_media.sip.message import Request, Response


class EarlyDialogs:
    """By the tag of the far end; requests inside each of them find the call for as long as it is in here.

    call  the name of the call
    """

    def __init__(self, call: str, wire: Wire) -> None:
        self._call = call
        self._wire = wire
        self._by_tag: dict[str, Dialog] = {}

    def __len__(self) -> int:
        return len(self._by_tag)

    def get(self, tag: str) -> Dialog | None:
        """The early dialog with this tag of the far end."""
        return self._by_tag.get(tag)

    def only_one(self) -> Dialog | None:
        """The early dialog when there is just one; None when nothing rings, or several."""
        return next(iter(self._by_tag.values())) if len(self._by_tag) == 1 else None

    def remember(self, invite: Request, response: Response) -> None:
        """12.1.2: a provisional response with a To tag makes an early dialog; each fork makes its own."""
        tag = response.to.tag
        if not tag or tag in self._by_tag or response.contact is None:
            return
        if len(self._by_tag) >= self._wire.settings.max_forks:
            self._wire.count("forks_over_limit")
            return
        dialog = Dialog.as_client(invite, response)
        self._by_tag[tag] = dialog
        self._wire.bind(dialog.key, self._call)

    def confirmed_as(self, dialog: Dialog) -> None:
        """The dialog of a 2xx takes the place of its fork's early one, "recomputed based on the 2xx response".

        The numbers go on from there (13.2.2.4): requests may have been sent inside it.
        """
        early = self._by_tag.pop(dialog.remote.tag or "", None)
        if early is not None:
            dialog.remote_cseq = early.remote_cseq
            dialog.local_cseq = max(dialog.local_cseq, early.local_cseq)

    def forget(self, tag: str) -> None:
        """One fork has hung up."""
        dialog = self._by_tag.pop(tag, None)
        if dialog is not None:
            self._wire.unbind(dialog.key)

    def forget_all(self) -> None:
        """The INVITE was answered, has failed, or is sent anew."""
        for dialog in self._by_tag.values():
            self._wire.unbind(dialog.key)
        self._by_tag.clear()
