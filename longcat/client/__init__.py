"""LongCat and AsyncLongCat, and what both are made of."""
