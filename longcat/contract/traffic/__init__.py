"""Exchanges with a gateway: asked for, or read from recordings."""
