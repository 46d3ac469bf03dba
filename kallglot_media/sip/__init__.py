"""SIP without sockets or clocks: bytes and `now_s` in, bytes and events out. One file per RFC 3261 section."""
