# shellcheck shell=sh
# ./dev bench, ./dev soak: programs of their own (jobs/benches/), built as for production and run as root.

# Builds a bench and runs it with the other arguments.
bench_run() {
    bench=$1
    shift
    install_missing
    crates_here
    heading "Building for production (the first time takes some minutes)"
    cargo build --locked --release --workspace --bins
    built=$(cargo bench --locked -p uncloud-jobs --bench "$bench" --no-run 2>&1) || fail "$built"
    program=$(printf '%s\n' "$built" | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
    [ -x "$program" ] || fail "cargo does not say which program it has built: $built"
    if [ "$(id -u)" = 0 ]; then exec "$program" "$@"; fi
    have sudo || fail "network namespaces and WireGuard need root: come again as root"
    exec sudo "$program" "$@"
}

dev_bench() {
    [ "${1:-}" = vpn ] || fail "./dev bench vpn [--json FILE]"
    shift
    bench_run vpn "$@"
}

dev_soak() {
    [ "${1:-}" = vpn ] || fail "./dev soak vpn [--faults N] [--seed S]"
    shift
    bench_run soak "$@"
}
