# shellcheck shell=sh
# ./dev bench, ./dev soak: programs of their own (jobs/benches/), built as for production and run as root.

# Builds a bench and runs it with the other arguments.
bench_run() {
    bench=$1
    shift
    install_missing
    crates_here
    heading "Building for production (the first time takes some minutes)"
    # In one go: built apart, the bench would want the same crates once more with other features.
    built=$(cargo build --locked --release --workspace --bins --bench "$bench" --message-format=json-render-diagnostics) ||
        fail "it cannot be built; the compiler's message stands above"
    program=$(printf '%s\n' "$built" | jq -r --arg bench "$bench" \
        'select(.target.name == $bench and .executable != null) | .executable')
    [ -x "$program" ] || fail "cargo does not say where the program is"
    if [ "$(id -u)" = 0 ]; then exec "$program" "$@"; fi
    have sudo || fail "network namespaces and WireGuard need root: come again as root"
    exec sudo "$program" "$@"
}

dev_bench() {
    case ${1:-} in
    vpn | runner | billing) bench_run "$@" ;;
    *) fail "./dev bench vpn|runner|billing [--json FILE]" ;;
    esac
}

dev_soak() {
    case ${1:-} in
    vpn | runner | billing) bench_run soak "$@" ;;
    *) fail "./dev soak vpn|runner|billing [--faults N] [--seed S]" ;;
    esac
}
