"""What is said to a gateway and what it answers. The one room that imports the generated client."""
