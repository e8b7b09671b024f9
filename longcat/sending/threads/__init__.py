"""What `LongCat` sends and waits with: the thread that calls, and for a batch, threads of its own."""
