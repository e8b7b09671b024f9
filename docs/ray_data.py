"""Order a picture for every prompt of a Ray Data set, on all nodes, and read what came of them as another one.

Run as `python ray_data.py OUTPUT JOURNAL`, with a folder or URL that all nodes see, and a PostgreSQL URL.
"""

import json
import subprocess
import sys

import ray

output, journal = sys.argv[1:]

# The prompts, from wherever Ray Data reads: Parquet, JSON, a query.
prompts = ray.data.range(20).map(lambda row: {"id": f"cat-{row['id']}", "prompt": f"a cat, number {row['id']}"})

lines = "".join(json.dumps(row) + "\n" for row in prompts.iter_rows()).encode()


@ray.remote(num_cpus=0.1, scheduling_strategy="SPREAD", max_retries=3)
def work() -> int:
    """Take part in the batch. A worker that is run again, also on another node, orders nothing twice."""
    command = ["longcat", "batch", "-", "-o", output, "--journal", journal, "--max-rate", "20"]
    return subprocess.run(command, input=lines, check=False).returncode


codes = ray.get([work.remote() for _ in ray.nodes() for _ in range(2)])

pictures = ray.data.read_json(f"{output}/manifest.jsonl", lines=True)
done = pictures.filter(lambda row: row["state"] == "done")
print(f"{done.count()} of {pictures.count()} done, exit codes {codes}")
