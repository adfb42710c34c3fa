# shellcheck shell=sh
# What every part of ./dev needs: messages, cargo, PostgreSQL's programs. Sourced by ./dev, which has changed to the repository's root.

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

# Runs one step of a longer list under a heading and says how long it took. `set -e` does not reach into a function that is
# called from a condition, so the step runs in a shell of its own that has it.
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
        fail "\"$step_title\" failed after $step_took s (exit code $step_status); what is wrong stands above"
    fi
    say "   ok, $step_took s"
}

# Cargo is kept off the network as soon as every crate is here, so that nothing waits for a resolver that is not there.
crates_here() {
    have cargo || fail "cargo is missing: install Rust with rustup, see https://rustup.rs (rust-toolchain.toml names the version)"
    [ -z "${CARGO_NET_OFFLINE:-}" ] || return 0
    if ! cargo fetch --locked --offline >/dev/null 2>&1; then
        heading "Fetching the crates that Cargo.lock names (once; the network is not needed afterwards)"
        cargo fetch --locked
    fi
    export CARGO_NET_OFFLINE=true
}

# The folder with initdb, postgres, pg_ctl and psql: the newest that Debian has, else what the PATH has.
postgres_bin() {
    for bin in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
        if [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ]; then
            echo "$bin"
            return
        fi
    done
    if have initdb; then dirname "$(command -v initdb)"; fi
}

# PostgreSQL refuses to run as root: as root its programs run as the first of these users that exists.
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

# Programs from PyPI, of the versions that file $2 pins, in an environment of their own named $1 beside the build. Made anew
# when the file changes; python_root is where it is.
python_here() {
    python_root=$CARGO_TARGET_DIR/tools/$1-$(sha256sum "$2" | cut -c1-12)
    [ ! -e "$python_root/ready" ] || return 0
    heading "Installing what $2 names (once; it is kept in $python_root)"
    rm -rf "$python_root"
    python3 -m venv "$python_root" || fail "python3 can't make an environment; Debian has it in python3-venv"
    "$python_root/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$2" ||
        fail "PyPI's programs could not be installed; the first time needs the network"
    : >"$python_root/ready"
}
