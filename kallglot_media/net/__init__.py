"""Sockets under the SIP agent. They move bytes and decide nothing."""
