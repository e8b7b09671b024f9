"""What a URL means: below which server of the contract it is, and of which path."""
