"""RTP and RTCP without sockets or clocks (RFC 3550, 3551, 4733)."""
