#!/usr/bin/env bash
# Make the virtual environment FOLDER, and let its pip install what is asked for.
#
#     scripts/make_venv.sh FOLDER PIP-ARGUMENT...
#
# such as: scripts/make_venv.sh .venv-dev --editable '.[dev]'
#
# PYTHON names the interpreter; without it the first that serves is taken.
set -euo pipefail

stop() {
    echo "edge-af: $*" >&2
    exit 1
}

folder=$1
shift
found='' python=''
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    found=${found:-$candidate}
    if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
        python=$candidate
        break
    fi
done

[ -n "$found" ] || stop "${PYTHON:-python3} is not Python 3.11 or newer;" \
    "install it (Debian 12 or later): sudo apt-get install python3 python3-venv"
[ -n "$python" ] || stop "$found cannot make a virtual environment;" \
    "install what it lacks: sudo apt-get install $(basename "$found")-venv"
"$python" -c 'import sys; sys.exit(sys.maxsize < 2**32)' ||
    stop "$python is a 32-bit program, and there is no model runtime for 32-bit systems;" \
        "use a 64-bit Raspberry Pi OS"

# libcamera and picamera2 come with Raspberry Pi OS, and not by pip.
options=()
if "$python" -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("libcamera"))'
then
    options=(--system-site-packages)
fi

echo "Setting up $folder ..."
"$python" -m venv "${options[@]}" "$folder"
"$folder/bin/python" -m pip install --disable-pip-version-check "$@"
