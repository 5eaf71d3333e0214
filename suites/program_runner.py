"""Run one function of a Python program in a process of its own: JSON on standard input -> JSON on standard output.

It is started as a file and imports nothing of ours. This is no sandbox: it keeps a program from hanging or breaking
the run, not from reading files.
"""

import json
import sys


def main() -> None:
    asked = json.load(sys.stdin)
    # What the program itself prints must not get between us and the reader.
    answer, sys.stdout = sys.stdout, sys.stderr
    sys.path[0] = asked["folder"]
    space: dict[str, object] = {"__name__": "program", "json": json}
    exec(compile(asked["code"], asked["name"], "exec"), space)
    function = space.get(asked["function"])
    if not callable(function):
        sys.exit(f"there is no function {asked['function']}")
    json.dump(function(*asked["arguments"]), answer)


if __name__ == "__main__":
    main()
