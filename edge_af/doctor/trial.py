"""Load and run a model once, as `python -m edge_af.doctor.trial FILE`; print the runtime's name.

It has a process of its own, since a runtime built for another processor kills the one it is in.
"""

import sys
from pathlib import Path

from edge_af.errors import EdgeAfError
from edge_af.interpreter import Network
from edge_af.model_file import read_model_file

if __name__ == "__main__":
    try:
        print(Network(read_model_file(Path(sys.argv[1]))).runtime)
    except EdgeAfError as error:
        sys.exit(str(error))
