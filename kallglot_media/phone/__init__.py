"""A scripted softphone: calls a URI, plays a WAV, records what it hears, and reports."""
