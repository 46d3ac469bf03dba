"""The meeting point: legs, sessions, turns and the interpreter. asyncio, no sockets."""
