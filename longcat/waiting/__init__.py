"""Decides when to ask, and what to do with each answer. No I/O."""
