"""Keeps what was ordered, asked, answered and saved, and by whom."""
