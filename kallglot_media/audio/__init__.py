"""Sound as numpy arrays: int16 mono, 20 ms frames, no sockets and no clocks."""
