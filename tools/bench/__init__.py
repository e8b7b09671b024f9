"""How fast longcat is, beside others: `make bench`. `rows.py` says what is measured, and `docs/performance.md` how."""
