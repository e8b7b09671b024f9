"""Sends calls: over connections, from threads or tasks."""
