"""The command `longcat journal`: what stands in a journal, and what of it is taken up again."""
