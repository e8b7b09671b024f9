"""From findings to a change of the contract."""
