"""The booking service of the hotel desk: a small HTTP server that answers tool calls. desk_bookings.py PORT

POST /tools  {"name": "lookup_booking", "arguments": {"booking_number": "417232"}, …}
→ {"output": {"name": "Emma Taylor", "room": 12, "nights": 3}}  or  {"error": "no such booking"}
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BOOKINGS = {
    "417232": {"name": "Emma Taylor", "room": 12, "nights": 3},
    "6808": {"name": "John Becker", "room": 4, "nights": 1},
}
LONGEST_BODY_BYTES = 64 * 1024


class Bookings(BaseHTTPRequestHandler):
    """One request."""

    def do_POST(self) -> None:
        """A tool call."""
        try:
            size = min(int(self.headers.get("Content-Length", "0")), LONGEST_BODY_BYTES)
            asked = json.loads(self.rfile.read(size))
            booking = BOOKINGS.get(str(asked["arguments"]["booking_number"]))
            answer, status = ({"output": booking} if booking else {"error": "no such booking"}), 200
        except (ValueError, KeyError, TypeError):
            answer, status = {"error": "send name and arguments as JSON"}, 400
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what was asked for is the caller's own."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8099), Bookings).serve_forever()
