"""The commands that order: `longcat generate` for one order, `longcat batch` for thousands."""
