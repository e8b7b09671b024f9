"""`python -m longcat`, for where the longcat command is not on the path."""

import sys

from longcat.cli import main

sys.exit(main())
