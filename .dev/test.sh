# shellcheck shell=sh
# ./dev test: everything that must hold before a change is merged; the same here and in CI.

deny_version=0.20.2

# cargo-deny is a program of its own, kept beside the build and made once.
deny_here() {
    deny_root=$CARGO_TARGET_DIR/tools/cargo-deny-$deny_version
    if [ ! -x "$deny_root/bin/cargo-deny" ]; then
        heading "Building cargo-deny $deny_version (once, some minutes; it is kept in $deny_root)"
        # Made to be built soon rather than to run fast. Its own target folder is removed: it is big and not needed again.
        CARGO_NET_OFFLINE=false CARGO_TARGET_DIR="$CARGO_TARGET_DIR/tools/build" \
            CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
            CARGO_PROFILE_RELEASE_DEBUG=false \
            cargo install cargo-deny --locked --version "$deny_version" --root "$deny_root" ||
            fail "cargo-deny could not be built; the first ./dev test needs the network"
        rm -rf "$CARGO_TARGET_DIR/tools/build"
    fi
}

# Advisories are left out: their database is fetched anew from the network each time.
deny() { "$deny_root/bin/cargo-deny" --offline --locked --workspace check --hide-inclusion-graph bans licenses sources; }

shell_lint() { shellcheck -x dev .ci/run .dev/*.sh packaging/*.sh packaging/libexec/* packaging/certbot/*; }

# The words that this project has agreed to write otherwise (docs/development/conventions.md): each line an extended regular
# expression and what to write. Looked for in code, documents and scripts.
words_to_avoid() {
    cat <<'END'
^ *//[/!] ?(What|Whose|Who|Which|Why|How|When|Where|Whether)\b => say what the item is or does
\b(is|are|was) no (valid|such|number|text|name|queue|file|user|host|key)\b => is not a ...
\b(billingaddress|recurringperiod|billrun|billline)\b => billing_address, recurring_period, bill_run, bill_item
\b(withdrawn_at|withdraw_at|passed_seconds|oldest_due_secs|took_ms)\b => the new name in docs/operations/upgrading.md
\buncloud jobs \b => uncloud job
END
}

words_check() {
    files=$(git ls-files '*.rs' '*.md' '*.sh' |
        grep -Ev '^(tests/migrations/|migrations/|CHANGELOG|docs/operations/upgrading|\.dev/test\.sh|tests/clients/)')
    found=$(words_to_avoid | while read -r line; do
        # shellcheck disable=SC2086 # the files are words
        if grep -nE "${line%% => *}" $files; then echo "   write instead: ${line#* => }"; fi
    done)
    [ -z "$found" ] || {
        printf '%s\n' "$found" >&2
        fail "words that are written otherwise here (the list is in .dev/test.sh)"
    }
}

# Builds all programs and all tests. Always those of the whole workspace: for a part of it cargo would choose other features
# of the dependencies, and build everything once more.
tests_build() { cargo test --locked --quiet --workspace --no-run; }

# Prints the paths of the programs with tests, those that take longest first.
test_programs() {
    cargo test --locked --quiet --workspace --no-run --message-format=json |
        jq -r 'select(.reason == "compiler-artifact" and .profile.test and .executable).executable' |
        sed -E 's/.*\/(runner|api|hosts)-[^/]*$/0 &/; t; s/^/1 /' | sort -s -k 1,1 | cut -d' ' -f2-
}

# Runs the tests of one program, such as `api`, with the arguments that follow.
test_one() {
    one=$1
    shift
    tests_build
    program=$(test_programs | grep -m 1 "/$one-[0-9a-f]*$") ||
        fail "no program with tests is called \"$one\"; there are: $(test_programs | sed 's/.*\///; s/-[^-]*$//' | sort -u | tr '\n' ' ')"
    "$program" "$@"
}

# Runs a program with tests, or a little fuzzing (fuzz); prints how long it took and the count of its tests, and all of its
# output if one failed.
test_program() {
    program_start=$(date +%s) program_status=0 program_name=$(echo "${1##*/}" | sed 's/-[0-9a-f]*$//')
    [ "$1" != fuzz ] || set -- dev_fuzz --seeds 1 --examples 25
    program_output=$("$@" 2>&1) || program_status=$?
    program_results=$(printf '%s\n' "$program_output" | grep '^test result: ' | grep -v ' 0 passed; 0 failed') || true
    # One write, so that the lines of programs that end at the same time do not mix.
    printf '   %5s s  %s\n%s' "$(($(date +%s) - program_start))" "$program_name" "${program_results:+$program_results
}"
    [ "$program_status" = 0 ] || printf '%s\n' "$program_output"
    return "$program_status"
}

# Runs all tests. Their programs wait for servers, deadlines and each other most of the time, so three run at once.
tests_run() {
    tests_build
    test_programs | sed '3a fuzz' | RUST_TEST_THREADS=3 xargs -P 3 -n 1 ./dev test-program
}

# All steps in their order: a name for the command line, the title, the command.
test_steps() {
    cat <<'END'
format|Format|cargo fmt --all --check
scripts|Shell scripts|shell_lint
words|Words|words_check
packaging|Packaging|packaging_check
lints|Lints|cargo clippy --locked --workspace --all-targets -- -D warnings
licences|Licences, sources and banned crates|deny
host|A worker for hosts alone|cargo check --locked --quiet -p uncloud-jobs --no-default-features
programs|Programs and tests|tests_build
tests|Tests|tests_run
document|Document|clients_lint
generate|Clients generated from it|clients_generate
clients|Clients called|clients_call
sql|Committed query data (.sqlx)|sql_check
END
}

# Whether step $1 is among those that are named after it; without names all are.
wanted() {
    wanted_step=$1
    shift
    [ $# != 0 ] || return 0
    for named in "$@"; do
        [ "$named" != "$wanted_step" ] || return 0
    done
    return 1
}

# Runs all steps, or those that are named.
dev_test() {
    test_start=$(date +%s)
    for name in "$@"; do
        test_steps | grep -q "^$name|" || fail "no step is called \"$name\"; there are: $(test_steps | cut -d'|' -f1 | tr '\n' ' ')"
    done
    install_missing tests
    crates_here
    if wanted licences "$@"; then deny_here; fi
    if wanted document "$@" || wanted generate "$@" || wanted clients "$@"; then clients_here; fi
    if wanted tests "$@"; then python_here schemathesis tests/fuzz/requirements.txt; fi
    took=
    for name in $(test_steps | cut -d'|' -f1); do
        wanted "$name" "$@" || continue
        line=$(test_steps | grep "^$name|")
        rest=${line#*|}
        step_begin=$(date +%s)
        # shellcheck disable=SC2086 # the command is words
        step "${rest%%|*}" ${rest#*|}
        took="$took$(printf '   %5s s  %s' "$(($(date +%s) - step_begin))" "$name")
"
    done
    printf '\n%s./dev test: all checks passed in %s s\n' "$took" "$(($(date +%s) - test_start))"
}
