"""The WebSocket of a session: sound and words, in both directions. docs/stream.md has every message."""
