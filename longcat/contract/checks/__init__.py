"""What in an exchange differs from the contract."""
