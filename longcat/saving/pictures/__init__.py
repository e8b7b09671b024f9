"""The kinds of pictures: how each begins, and how each tells that it is whole."""
