# shellcheck shell=sh
# ./dev fuzz: schemathesis makes up requests from the document, good ones and bad ones, and sends them to a server with one
# object of every noun, as a customer and as staff. What it must not complain about stands in tests/fuzz/schemathesis.toml.

# Runs it with seed $1 and so many examples ($2) for an operation.
fuzz() {
    SCHEMATHESIS=$python_root/bin/schemathesis FUZZ_SEED=$1 FUZZ_EXAMPLES=$2 \
        cargo test --locked --quiet -p uncloud --test api -- --ignored --nocapture schemathesis
}

dev_fuzz() {
    seeds=10 examples=200
    while [ $# -gt 0 ]; do
        case $1 in
        --seeds) seeds=${2:?how many} ;;
        --examples) examples=${2:?how many} ;;
        *) fail "./dev fuzz [--seeds N] [--examples N]" ;;
        esac
        shift 2
    done
    install_missing tests
    crates_here
    python_here schemathesis tests/fuzz/requirements.txt
    seed=1
    while [ "$seed" -le "$seeds" ]; do
        step "Seed $seed, $examples examples for each operation" fuzz "$seed" "$examples"
        seed=$((seed + 1))
    done
}
