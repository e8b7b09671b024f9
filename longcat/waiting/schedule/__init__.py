"""When to ask next, and how long it will take: forecasts, and what they are good for."""
