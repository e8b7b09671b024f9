"""A journal in an SQLite file, for the programs of one machine."""
