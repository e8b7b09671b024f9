"""The places where pictures are saved: files and folders, other stores that URLs name, and shards in any of them."""
