"""The FILE of a batch: rows of lines or of a table, and the orders that they are."""
