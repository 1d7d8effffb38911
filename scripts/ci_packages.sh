#!/usr/bin/env bash
# Install the real counterparts that tests talk to, where this is Debian and who runs it may.
#
# Never fails: a test whose counterpart is missing skips, and says what it needs.
set -uo pipefail

# Program, and the package that has it.
declare -A package=(
    [chromium]=chromium
    [mosquitto]=mosquitto
    [gcc]=gcc
)

missing=()
for program in "${!package[@]}"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || missing+=("${package[$program]}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

say() {
    echo "edge-af: not installed, and what needs them is skipped: ${missing[*]} ($*)" >&2
    exit 0
}

[ "$(id --user)" = 0 ] || say "not root"
command -v apt-get >/dev/null || say "no apt-get here"
export DEBIAN_FRONTEND=noninteractive
quick=(-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o DPkg::Lock::Timeout=60)
{
    timeout 120 apt-get "${quick[@]}" update &&
        timeout 300 apt-get "${quick[@]}" install --yes --no-install-recommends "${missing[@]}"
} >&2 || say "apt-get failed"
