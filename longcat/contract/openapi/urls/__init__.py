"""Finds the server of the contract that a URL is below, and its path."""
