"""The process that is measured: `python -m bench.child EXPERIMENT URL ROUNDS SHARE` prints its series as JSON."""

import json
import sys

from bench.experiment import Effort
from bench.rows import EXPERIMENTS

if __name__ == "__main__":
    name, url, rounds, share = sys.argv[1:]
    print(json.dumps(EXPERIMENTS[name].measure(url, Effort(int(rounds), float(share)))))
