"""Makes the calls to a gateway, and reads its answers. No other room imports the generated client."""
