"""What `AsyncLongCat` sends and waits with: tasks on asyncio and trio."""
