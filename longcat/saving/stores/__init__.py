"""Where pictures are saved: a file or a folder, a place of another kind that is named by a URL, or shards of either."""
