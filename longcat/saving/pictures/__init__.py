"""What kinds of pictures there are: how each begins, and how each tells that it is whole."""
