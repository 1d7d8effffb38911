#!/usr/bin/env bash
# Install edge-af as a service that starts at boot, or remove it:
#
#     scripts/install.sh [--uninstall]       as root; PURGE=1 removes settings and state too
#
# Every installation has a folder of its own in /opt/edge-af, and is in use once the link
# /opt/edge-af/venv leads there. Until then the one before runs on, and if the new one does not
# start the link goes back.
set -euo pipefail
umask 022
PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin  # nobody's private Python: others must read it
cd "$(dirname "$0")/.."

home=/opt/edge-af
settings=/etc/edge-af
state=/var/lib/edge-af
command=/usr/local/bin/edge-af
unit=edge-af.service
declare -A place=(
    [edge-af.service]=/usr/local/lib/systemd/system/edge-af.service
    [sysusers.conf]=/usr/local/lib/sysusers.d/edge-af.conf
    [tmpfiles.conf]=/usr/local/lib/tmpfiles.d/edge-af.conf
    [70-edge-af.rules]=/usr/local/lib/udev/rules.d/70-edge-af.rules
)

say() {
    echo "edge-af: $*" >&2
}

stop() {
    say "$@"
    exit 1
}

booted() { # not so where an image for an SD card is made
    [ -d /run/systemd/system ]
}

# Put the files of an installation where systemd looks for them.
use() {
    local file
    for file in "${!place[@]}"; do
        install -D --mode=644 "$1/systemd/$file" "${place[$file]}"
    done
    systemd-sysusers "${place[sysusers.conf]}"
    systemd-tmpfiles --create "${place[tmpfiles.conf]}"
    if [ ! -e $settings/config.toml ]; then
        install --mode=640 --group=edge-af "$1/systemd/config.toml" $settings/config.toml
    fi
    ln --symbolic --force --no-dereference "$1" $home/venv.new
    mv --no-target-directory $home/venv.new $home/venv
    ln --symbolic --force $home/venv/bin/edge-af $command
    reload
}

reload() {
    if booted; then
        systemctl daemon-reload
        if udevadm control --reload 2>/dev/null; then
            udevadm trigger --subsystem-match={tty,gpio,dma_heap,media,misc} || true
        fi
    fi
}

start() {
    systemctl enable --quiet $unit
    if booted; then
        systemctl reset-failed $unit 2>/dev/null || true
        systemctl restart $unit
    fi
}

install_it() {
    local new old
    old=$(readlink $home/venv || true)
    new=$home/$(date --utc +%Y%m%dT%H%M%SZ)
    sources=$(mktemp --directory)
    trap 'rm -rf "$sources" "$unfinished"' EXIT
    unfinished=$new
    mkdir -p $home

    # pip builds inside the folder that it is given: keep it, and what is left there, apart.
    cp --recursive edge_af hw train convert pyproject.toml README.md LICENSE "$sources"
    scripts/make_venv.sh "$new" --quiet "$sources[pi]"
    cp --recursive systemd "$new"

    use "$new"
    if ! runuser --user edge-af -- "$new/bin/edge-af" --version >&2 || ! start; then
        journalctl --unit=$unit --lines=20 --no-pager --output=cat >&2 || true
        if [ -n "$old" ]; then
            use "$old"
            start || true
            stop "the new one does not start: see above; the one before is in use again"
        fi
        unfinished=
        stop "it is installed, but does not start: see above"
    fi
    unfinished=
    find $home -mindepth 1 -maxdepth 1 -type d ! -path "$new" -exec rm -rf {} +

    say "installed; settings: $settings/config.toml, log: journalctl -u edge-af"
    say "who may use it: sudo usermod -aG edge-af NAME, who then logs in again"
}

uninstall_it() {
    if booted; then
        systemctl disable --now --quiet $unit 2>/dev/null || true
        systemctl reset-failed $unit 2>/dev/null || true
    else
        systemctl disable --quiet $unit 2>/dev/null || true
    fi
    rm -rf "${place[@]}" $home $command
    if [ -n "${PURGE:-}" ]; then
        rm -rf $settings $state /etc/systemd/system/$unit.d
        userdel edge-af 2>/dev/null || true
        say "removed, with settings and state"
    else
        say "removed; $settings and $state are still there (PURGE=1 removes them too)"
    fi
    reload
}

[ "$(id --user)" = 0 ] || stop "this needs root: sudo make install, or sudo make uninstall"
command -v systemctl systemd-sysusers systemd-tmpfiles >/dev/null ||
    stop "this needs systemd; without it, start \`edge-af run\` by whatever starts services here"
case ${1:-} in
    '') install_it ;;
    --uninstall) uninstall_it ;;
    *) stop "there is no option $1; known: --uninstall" ;;
esac
