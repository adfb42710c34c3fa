# shellcheck shell=sh
# ./dev run: builds, starts everything with `uncloud up`, shows the tour, and runs until Ctrl-C.

dev_run() {
    install_missing
    crates_here
    heading "Building (the first time takes some minutes)"
    cargo build --locked --bins
    if [ "$(id -u)" = 0 ]; then run_up "$@"; fi
    # Everything after this runs as root if possible; secrets must not appear in an argument list.
    if may_sudo; then
        exec sudo --preserve-env=DATABASE_URL,REDIS_URL,RUST_LOG,UNCLOUD_ADMIN_PASSWORD,UNCLOUD_DATA_DIR,UNCLOUD_LISTEN,UNCLOUD_SECRET_KEY \
            env CARGO_TARGET_DIR="$CARGO_TARGET_DIR" UNCLOUD_TOUR_EXIT="${UNCLOUD_TOUR_EXIT:-}" "$(pwd)/dev" up-and-tour "$@"
    fi
    say "Not root, and sudo is not available: the workers will only do dry runs."
    run_up "$@"
}

may_sudo() {
    have sudo || return 1
    if [ -t 0 ]; then
        heading "Network namespaces and WireGuard need root: sudo may ask for your password"
        sudo -v
    else
        sudo -n true 2>/dev/null
    fi
}

# Prints the value of option $1 in the other arguments, or $UNCLOUD_DATA_DIR, or the default of `uncloud up`.
data_dir_of() {
    dir=${UNCLOUD_DATA_DIR:-}
    while [ $# -gt 0 ]; do
        case $1 in
        --data-dir=*) dir=${1#--data-dir=} ;;
        --data-dir) dir=${2:-} ;;
        esac
        shift
    done
    if [ -z "$dir" ]; then
        if [ "$(id -u)" = 0 ]; then dir=/var/lib/uncloud; else dir=${XDG_DATA_HOME:-$HOME/.local/share}/uncloud; fi
    fi
    case $dir in
    /*) echo "$dir" ;;
    *) echo "$(pwd)/$dir" ;;
    esac
}

instance() { jq -r "$@" "$data_dir/instance.json" 2>/dev/null; }

run_up() {
    data_dir=$(data_dir_of "$@")
    uncloud=$CARGO_TARGET_DIR/debug/uncloud
    tour_id=
    heading "uncloud up, data in $data_dir"
    # Its log goes to a file and is shown from there, but not during the tour, whose responses it would interrupt.
    log=$data_dir/log/up.log
    (umask 066 && mkdir -p "$data_dir/log")
    if [ -e "$log" ] && [ "$(wc -c <"$log")" -gt 10000000 ]; then : >"$log"; fi
    (umask 077 && : >>"$log")
    show_log
    "$uncloud" up --queue "$(uname -n)" --queue vpn-2a0ae5c1200.ungleich.ch "$@" 2>>"$log" &
    up=$!
    trap 'run_end' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    up_wait
    # shellcheck disable=SC2034 # for the tour and its end
    tour_id=$(instance .id)
    hide_log
    # Not "tour || ...": `set -e` does not stop a command at its first error if the command's failure is handled.
    set +e
    (
        set -e
        tour
    )
    status=$?
    set -e
    show_log
    if [ -n "${UNCLOUD_TOUR_EXIT:-}" ]; then exit "$status"; fi
    [ "$status" = 0 ] || say "The tour ended early; everything that was started keeps running."
    say "Ctrl-C ends everything."
    status=0
    wait "$up" || status=$?
    exit "$status"
}

# Waits until `uncloud up` ($up, on $data_dir) responds and has its workers.
up_wait() {
    waited=0
    while [ "$(instance '.pid')" != "$up" ] ||
        [ "$(instance 'select(.listen) | [.hosts[] | "worker " + .queue] - [.children[].name] | length')" != 0 ]; do
        if ! kill -0 "$up" 2>/dev/null; then
            sleep 0.5 # so that the log shows the reason
            wait "$up" || exit $?
            exit 1
        fi
        waited=$((waited + 1))
        [ "$waited" -lt 1500 ] || fail "not ready after five minutes; see the log above and $data_dir/log"
        sleep 0.2
    done
}

show_log() {
    tail -n 0 -f "$log" >&2 &
    tail=$!
}

hide_log() {
    kill "$tail" 2>/dev/null || true
    wait "$tail" 2>/dev/null || true
}

# Stops `uncloud up` and waits for it: it has already received a Ctrl-C, and two signals at nearly the same time count as one.
run_end() {
    status=$?
    trap - EXIT
    trap : INT TERM HUP
    tour_end
    if kill -TERM "$up" 2>/dev/null; then
        while kill -0 "$up" 2>/dev/null; do wait "$up" || true; done
        sleep 0.2 # for the log's last lines
    fi
    hide_log
    exit "$status"
}
