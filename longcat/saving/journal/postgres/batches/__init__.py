"""The batches that many machines work on together: their lines, their workers, and all of them in a journal."""
