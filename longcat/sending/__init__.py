"""How a call travels: over which connection, and from which thread or task."""
