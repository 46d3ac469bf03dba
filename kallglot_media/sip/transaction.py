"""The transactions of RFC 3261 section 17: one door to the four machines, the layer above them, and what they tell.

transaction_machine.py  states, events, actions; how a table is run
transaction_client.py   INVITE and non-INVITE client tables (17.1)
transaction_server.py   INVITE and non-INVITE server tables (17.2)
transaction_keys.py     which message belongs to which (17.1.3, 17.2.3)
transaction_layer.py    all of them together, with one heap of deadlines
"""

from kallglot_media.sip.transaction_client import InviteClient, NonInviteClient
from kallglot_media.sip.transaction_layer import TransactionLayer, response_peer
from kallglot_media.sip.transaction_machine import (
    AckReceived,
    NoAck,
    RequestReceived,
    ResponseReceived,
    State,
    Terminated,
    TimedOut,
    TransactionEvent,
    TransportFailed,
)
from kallglot_media.sip.transaction_server import InviteServer, NonInviteServer

__all__ = [
    "AckReceived",
    "InviteClient",
    "InviteServer",
    "NoAck",
    "NonInviteClient",
    "NonInviteServer",
    "RequestReceived",
    "ResponseReceived",
    "State",
    "Terminated",
    "TimedOut",
    "TransactionEvent",
    "TransactionLayer",
    "TransportFailed",
    "response_peer",
]
