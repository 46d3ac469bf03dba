"""The media plane: the batched 20 ms tick, its process, its recorder, and the link control holds."""
