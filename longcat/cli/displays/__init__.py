"""Shows waits on the command line while they last: live lines on a terminal, plain lines elsewhere."""
