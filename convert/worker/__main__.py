"""One job, named and described by the two arguments; lines of JSON on standard output tell of it.

`{"say": [what, done, total]}` while it runs, and at its end `{"done": result}` or
`{"error": reason}`.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from edge_af.errors import UserError


def main() -> None:
    """Run the job."""
    # TensorFlow's compiled parts print where they like: standard output is kept for our lines.
    ours = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def tell(line: dict[str, Any]) -> None:
        print(json.dumps(line), file=ours)

    def say(what: str, done: int, total: int) -> None:
        tell({"say": [what, done, total]})

    from convert.worker.bring_in import bring_in
    from convert.worker.quantise import quantise

    jobs: dict[str, Callable[..., Any]] = {"bring_in": bring_in, "quantise": quantise}
    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    try:
        tell({"done": jobs[name](say=say, **arguments)})
    except UserError as error:
        tell({"error": str(error)})


if __name__ == "__main__":
    main()
