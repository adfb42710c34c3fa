# shellcheck shell=sh
# ./dev bench, ./dev soak: one program of its own (jobs/benches/), built as for production and run as root.

# Builds the bench program and runs it with these arguments.
bench_run() {
    install_missing
    crates_here
    heading "Building for production (the first time takes some minutes)"
    # In one go: built apart, the bench would want the same crates once more with other features.
    built=$(cargo build --locked --release --workspace --bins --bench bench --message-format=json-render-diagnostics) ||
        fail "it cannot be built; the compiler's message stands above"
    program=$(printf '%s\n' "$built" | jq -r 'select(.target.kind == ["bench"] and .executable != null) | .executable')
    [ -x "$program" ] || fail "cargo does not say where the program is"
    if [ "$(id -u)" = 0 ]; then exec "$program" "$@"; fi
    have sudo || fail "network namespaces and WireGuard need root: come again as root"
    exec sudo "$program" "$@"
}

dev_bench() {
    case ${1:-} in
    vpn | runner | billing | api) bench_run "$@" ;;
    *) fail "./dev bench vpn|runner|billing|api [--json FILE]" ;;
    esac
}

dev_soak() {
    case ${1:-} in
    vpn | runner | billing) bench_run soak "$@" ;;
    *) fail "./dev soak vpn|runner|billing [--faults N] [--seed S]" ;;
    esac
}
