"""Sends calls by an HTTP library. Of the client, nothing else imports one, but to name its types."""
