# shellcheck shell=sh
# Functions for all parts of ./dev: messages, cargo, PostgreSQL's programs. Sourced by ./dev in the repository's root.

: "${CARGO_TARGET_DIR:=$HOME/.cache/uncloud/target}"
export CARGO_TARGET_DIR

say() { printf '%s\n' "$*" >&2; }
# Bold on a terminal, plain in a file.
if [ -t 1 ] && [ -t 2 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
heading() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain" >&2; }
fail() {
    printf 'dev: %s\n' "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Runs one step of a longer list under a heading and prints its duration. `set -e` has no effect in a function that is called
# in a condition, so the step runs in a subshell with its own `set -e`.
step() {
    step_title=$1
    shift
    heading "$step_title"
    step_start=$(date +%s)
    step_status=0
    set +e
    (
        set -e
        "$@"
    )
    step_status=$?
    set -e
    step_took=$(($(date +%s) - step_start))
    if [ "$step_status" != 0 ]; then
        fail "\"$step_title\" failed after $step_took s (exit code $step_status); see the messages above"
    fi
    say "   ok, $step_took s"
}

# Keeps cargo offline once all crates are downloaded, so that no build waits for an unreachable DNS resolver.
crates_here() {
    have cargo || fail "cargo is missing: install Rust with rustup, see https://rustup.rs (rust-toolchain.toml names the version)"
    [ -z "${CARGO_NET_OFFLINE:-}" ] || return 0
    if ! cargo fetch --locked --offline >/dev/null 2>&1; then
        heading "Fetching the crates that Cargo.lock names (once; the network is not needed afterwards)"
        cargo fetch --locked
    fi
    export CARGO_NET_OFFLINE=true
}

# Prints the folder with initdb, postgres, pg_ctl and psql: Debian's newest, or else the one in the PATH.
postgres_bin() {
    for bin in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
        if [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ]; then
            echo "$bin"
            return
        fi
    done
    if have initdb; then dirname "$(command -v initdb)"; fi
}

# PostgreSQL refuses to run as root, so root runs its programs as the first of these users that exists.
unprivileged() {
    if [ "$(id -u)" != 0 ]; then
        "$@"
        return
    fi
    for user in uncloud postgres nobody; do
        if id "$user" >/dev/null 2>&1; then break; fi
    done
    setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@"
}

# Installs programs from PyPI, in the versions pinned in file $2, in a separate environment named $1 beside the build, and
# again when the file changes; sets python_root to its folder.
python_here() {
    python_root=$CARGO_TARGET_DIR/tools/$1-$(sha256sum "$2" | cut -c1-12)
    [ ! -e "$python_root/ready" ] || return 0
    heading "Installing the packages of $2 (once; they are stored in $python_root)"
    rm -rf "$python_root"
    python3 -m venv "$python_root" || fail "python3 can't create an environment; on Debian: apt-get install python3-venv"
    "$python_root/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$2" ||
        fail "the packages from PyPI could not be installed; the first run needs the network"
    : >"$python_root/ready"
}
