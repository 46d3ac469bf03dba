"""A self-hosted telephony media server that interprets phone calls between two languages."""

__version__ = "0.1.0"
