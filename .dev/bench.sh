# shellcheck shell=sh
# ./dev bench, ./dev soak: a separate program (jobs/benches/), built as for production and run as root.

# Builds the bench program and runs it with these arguments.
bench_run() {
    install_missing
    crates_here
    heading "Building for production (the first time takes some minutes)"
    # In one build: a separate one would compile the same crates again for the bench, with other features.
    built=$(cargo build --locked --release --workspace --bins --bench bench --message-format=json-render-diagnostics) ||
        fail "the build failed; see the compiler's message above"
    program=$(printf '%s\n' "$built" | jq -r 'select(.target.kind == ["bench"] and .executable != null) | .executable')
    [ -x "$program" ] || fail "cargo did not report the path of the program"
    if [ "$(id -u)" = 0 ]; then exec "$program" "$@"; fi
    have sudo || fail "network namespaces and WireGuard need root: run this command as root"
    exec sudo "$program" "$@"
}

dev_bench() {
    case ${1:-} in
    vpn | runner | billing | api) bench_run "$@" ;;
    *) fail "usage: ./dev bench vpn|runner|billing|api [--json FILE]" ;;
    esac
}

dev_soak() {
    case ${1:-} in
    vpn | runner | billing) bench_run soak "$@" ;;
    *) fail "usage: ./dev soak vpn|runner|billing [--faults N] [--seed S]" ;;
    esac
}
