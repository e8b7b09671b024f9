"""Finds what in an exchange differs from the contract."""
