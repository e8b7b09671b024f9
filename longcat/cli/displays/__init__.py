"""How the command line shows waits while they last: live lines on a terminal, plain lines elsewhere."""
