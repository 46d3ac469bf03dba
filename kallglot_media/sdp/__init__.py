"""Session descriptions: parsing (RFC 8866), offers and answers (RFC 3264)."""
