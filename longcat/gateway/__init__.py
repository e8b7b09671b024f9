"""What goes to a gateway and what it answers. No other room imports the generated client."""
