"""Limits how often all waits of one client may ask, and all clients that share a budget."""
