"""`python -m mnist_cli.schema` prints the JSON schema of what `compare --export-json` writes."""

import json
import sys

from mnist_cli.schema.comparison import CompareResult
from mnist_cli.schema.record import adapter

if __name__ == "__main__":
    schema = adapter(CompareResult).json_schema(mode="serialization")
    sys.stdout.write(json.dumps(schema, indent=2) + "\n")
