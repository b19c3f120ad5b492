"""Run one function in a process of its own, for `measure.in_child`. Imports little: imports are measured."""

import importlib
import json
import sys


def main() -> None:
    """Call the function named on the command line, and print what it returns as the last line."""
    module, _, name = sys.argv[1].partition(":")
    args, kwargs = json.loads(sys.argv[2])
    print("\n" + json.dumps(getattr(importlib.import_module(module), name)(*args, **kwargs)))


if __name__ == "__main__":
    main()
