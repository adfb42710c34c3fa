# shellcheck shell=sh
# ./dev fuzz: schemathesis generates valid and invalid requests from the document and sends them to a server with one object
# of every type, as a customer and as staff. tests/fuzz/schemathesis.toml lists the findings that it must ignore.

# Runs it with seed $1 and $2 examples per operation.
fuzz() {
    # shellcheck disable=SC2154 # python_here sets it
    SCHEMATHESIS=$python_root/bin/schemathesis FUZZ_SEED=$1 FUZZ_EXAMPLES=$2 \
        test_one api --ignored --nocapture schemathesis
}

dev_fuzz() {
    seeds=10 examples=200
    while [ $# -gt 0 ]; do
        case $1 in
        --seeds) seeds=${2:?how many} ;;
        --examples) examples=${2:?how many} ;;
        *) fail "usage: ./dev fuzz [--seeds N] [--examples N]" ;;
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
