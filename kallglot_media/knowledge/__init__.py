"""From a document's bytes to passages that a search can find."""
