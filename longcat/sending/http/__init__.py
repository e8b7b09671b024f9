"""The HTTP libraries below: nothing outside of this room imports or names one of them."""
