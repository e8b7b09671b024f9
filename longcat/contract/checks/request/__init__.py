"""What a request says: its parameters and its body, held against the contract, and what must come of it."""
