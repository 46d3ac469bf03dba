"""Sessions as clients see them: their public form, and how they get into the store and the webhooks."""
