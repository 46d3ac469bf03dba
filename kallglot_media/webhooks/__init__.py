"""Telling other servers what happened: signed, in order for each session, again until they answer."""
