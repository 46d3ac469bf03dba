"""What can be said about a conversation from its transcript.

Performance, keywords and compliance are computed. Summary and sentiment come from the configured model when there is
one, else from extraction and a lexicon; every answer says which (`method`).
"""
