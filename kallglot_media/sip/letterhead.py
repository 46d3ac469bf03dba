"""What our messages say of us: Via, Contact, User-Agent, Server. RFC 3261 sections 8.1.1.7, 8.1.1.8, 20.35, 20.41."""

from __future__ import annotations

from kallglot_media.ids import Ids
from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.routing import Address, Addresses, own_contact, own_via
from kallglot_media.sip.settings import AgentSettings


class Letterhead:
    """Writes our own headers, as the peer that a message goes to must read them.

    addresses  where peers reach us; may grow and change at any time
    """

    def __init__(self, ids: Ids, settings: AgentSettings, addresses: Addresses) -> None:
        self._ids = ids
        self._settings = settings
        self._addresses = addresses

    def address_towards(self, to: Peer) -> Address:
        """What our Via and Contact say to this peer. Raises ValueError when we do not speak its transport."""
        address = self._addresses.towards(to)
        if address is None:
            raise ValueError(f"no address of ours for {to.transport}: set_address({to.transport!r}, host, port) first")
        return address

    def contact(self, to: Peer) -> str:
        """The value of Contact: where this peer reaches us."""
        return own_contact(to.transport, self.address_towards(to), self._settings.contact_user)

    def put_on(self, request: Request, to: Peer) -> None:
        """What the transport and the user agent add: Via with a new branch, Contact where it belongs."""
        self._write_via(request, to, self._ids.branch())
        headers = request.headers
        if request.method in ("INVITE", "UPDATE") and "Contact" not in headers:
            headers.add("Contact", self.contact(to))
        if "User-Agent" not in headers:
            headers.add("User-Agent", self._settings.user_agent)

    def put_on_response(self, response: Response) -> None:
        """Server, on everything but a 100."""
        if response.status > 100 and "Server" not in response.headers:
            response.headers.add("Server", self._settings.user_agent)

    def copy_for(self, request: Request, to: Peer) -> Request:
        """A request of ours for another transport, as the same transaction: Via names the new way, the branch stays."""
        copy = Request(request.method, request.uri, request.headers.copy(), request.body)
        self._write_via(copy, to, request.top_via.branch or "")
        return copy

    def _write_via(self, request: Request, to: Peer, branch: str) -> None:
        via = own_via(to.transport, self.address_towards(to), branch)
        request.headers.remove("Via")
        request.headers.insert_first("Via", via)
