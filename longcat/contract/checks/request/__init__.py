"""Holds the parameters and the body of a request against the contract, and says which answer must come of it."""
