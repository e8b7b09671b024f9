"""Performs flows with the thread that calls, and batches with threads of their own, for `LongCat`."""
