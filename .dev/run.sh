# shellcheck shell=sh
# ./dev run: builds, starts everything with `uncloud up`, shows the tour, and stays until Ctrl-C.

dev_run() {
    install_missing
    crates_here
    heading "Building (the first time takes some minutes)"
    cargo build --locked --bins
    if [ "$(id -u)" = 0 ]; then run_up "$@"; fi
    # Everything from here on runs as root where that is possible; secrets are not put into an argument list.
    if may_sudo; then
        exec sudo --preserve-env=DATABASE_URL,REDIS_URL,RUST_LOG,UNCLOUD_ADMIN_PASSWORD,UNCLOUD_DATA_DIR,UNCLOUD_LISTEN,UNCLOUD_SECRET_KEY \
            env CARGO_TARGET_DIR="$CARGO_TARGET_DIR" UNCLOUD_TOUR_EXIT="${UNCLOUD_TOUR_EXIT:-}" "$(pwd)/dev" up-and-tour "$@"
    fi
    say "Not root, and no sudo: the workers will only say what they would do."
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

# The value of option $1 among the other arguments, else $UNCLOUD_DATA_DIR, else what `uncloud up` takes.
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
    # Its log goes to a file and is shown from there, but not during the tour, whose answers it would cut in two.
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
    # Not "tour || ...": a command whose failure is asked for is not ended by `set -e` at its first error.
    set +e
    (
        set -e
        tour
    )
    status=$?
    set -e
    show_log
    if [ -n "${UNCLOUD_TOUR_EXIT:-}" ]; then exit "$status"; fi
    [ "$status" = 0 ] || say "The tour ended early; what runs, runs on."
    say "Ctrl-C ends everything."
    status=0
    wait "$up" || status=$?
    exit "$status"
}

# Waits until `uncloud up` ($up, on $data_dir) answers and has its workers.
up_wait() {
    waited=0
    while [ "$(instance '.pid')" != "$up" ] ||
        [ "$(instance 'select(.listen) | [.hosts[] | "worker " + .queue] - [.children[].name] | length')" != 0 ]; do
        if ! kill -0 "$up" 2>/dev/null; then
            sleep 0.5 # for the log, which says why
            wait "$up" || exit $?
            exit 1
        fi
        waited=$((waited + 1))
        [ "$waited" -lt 1500 ] || fail "not ready after five minutes; the log above and $data_dir/log tell more"
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

# Ends `uncloud up` and waits for it: after a Ctrl-C it knows already, and a second wish within a moment counts as one.
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
