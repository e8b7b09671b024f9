"""Performs flows and batches with tasks, on asyncio and trio, for `AsyncLongCat`."""
