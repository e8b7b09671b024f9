"""The journal on PostgreSQL, for programs on many machines."""
