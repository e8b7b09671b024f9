"""Says when to ask next, by forecasts of how long requests take."""
