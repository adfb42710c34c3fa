# shellcheck shell=sh
# ./dev test: all checks that must pass before a change is merged; the same locally and in CI.

deny_version=0.20.2

# cargo-deny is a separate program, built once and stored beside the build.
deny_here() {
    deny_root=$CARGO_TARGET_DIR/tools/cargo-deny-$deny_version
    if [ ! -x "$deny_root/bin/cargo-deny" ]; then
        heading "Building cargo-deny $deny_version (once, some minutes; it is kept in $deny_root)"
        # Optimised for a short build rather than for speed. Its target folder is removed: it is big and not needed again.
        CARGO_NET_OFFLINE=false CARGO_TARGET_DIR="$CARGO_TARGET_DIR/tools/build" \
            CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
            CARGO_PROFILE_RELEASE_DEBUG=false \
            cargo install cargo-deny --locked --version "$deny_version" --root "$deny_root" ||
            fail "cargo-deny could not be built; the first ./dev test needs the network"
        rm -rf "$CARGO_TARGET_DIR/tools/build"
    fi
}

# Advisories are left out: their database is downloaded again each time.
deny() { "$deny_root/bin/cargo-deny" --offline --locked --workspace check --hide-inclusion-graph bans licenses sources; }

shell_lint() {
    if have shellcheck; then
        shellcheck -x dev .ci/run .dev/*.sh packaging/*.sh packaging/libexec/*
    else
        say "   left out: shellcheck is not installed"
    fi
}

dev_test() {
    test_start=$(date +%s)
    install_missing tests
    crates_here
    deny_here
    clients_here
    python_here schemathesis tests/fuzz/requirements.txt
    step "Format" cargo fmt --all --check
    step "Shell scripts" shell_lint
    step "Packaging" packaging_check
    step "Lints" cargo clippy --locked --workspace --all-targets -- -D warnings
    step "Licences, sources and banned crates" deny
    # The tests start both programs, but cargo builds only those of the package under test.
    step "Programs" cargo build --locked --bins
    step "Tests" cargo test --locked --workspace
    clients_steps
    step "Made-up requests for every operation" fuzz 1 25
    step "Committed query data (.sqlx)" sql_check
    printf '\n./dev test: all checks passed in %s s\n' "$(($(date +%s) - test_start))"
}
