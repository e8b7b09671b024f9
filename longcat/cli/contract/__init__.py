"""`longcat contract`: the commands of the drift check."""
