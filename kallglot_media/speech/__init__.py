"""Recognition, translation and synthesis, each model in a process of its own."""
