"""Exchanges with a gateway, read from recordings or written to cassettes."""
