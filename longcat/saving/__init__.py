"""Keeps what outlives the process: pictures on disk, and the journal of what was asked."""
