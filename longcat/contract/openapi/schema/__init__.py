"""The schemas of a document: checked when they are reached, understood, and held against values."""
