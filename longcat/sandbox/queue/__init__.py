"""The emulated queue gateway: its calls, its orders, its callbacks, and what sister models answer."""
