# shellcheck shell=sh
# ./dev clients: generates clients from openapi/openapi.json and tests them against a running server.

# Installs the generators from PyPI (with the Java and Node that they need), npm and crates.io, in the versions pinned in
# tests/clients/. They are stored beside the build and fetched once for each set of versions.
crates=tests/clients/rust/Cargo.toml
clients_here() {
    pins=$(cat tests/clients/requirements.txt tests/clients/typescript/package-lock.json | sha256sum | cut -c 1-12)
    tools=$CARGO_TARGET_DIR/tools/clients-$pins
    if [ ! -e "$tools/complete" ]; then
        step "Fetching the client generators (once, from the network; they are stored in $tools)" clients_fetch
    fi
    if ! cargo fetch --locked --offline --manifest-path "$crates" >/dev/null 2>&1; then
        heading "Fetching the crates of the Rust client (once)"
        CARGO_NET_OFFLINE=false cargo fetch --locked --manifest-path "$crates"
    fi
}

clients_fetch() {
    rm -rf "$CARGO_TARGET_DIR"/tools/clients-*
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement tests/clients/requirements.txt
    cp tests/clients/typescript/package*.json "$tools/"
    (cd "$tools" && PATH=$tools/bin:$PATH npm ci --no-audit --no-fund --no-update-notifier --ignore-scripts)
    touch "$tools/complete"
}

# Prepares a step, whose shell ends with it: puts the generators first in PATH; generated files go to $work.
clients_tools() {
    PATH=$tools/bin:$tools/node_modules/.bin:$PATH
    export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
    work=$tools/work
    mkdir -p "$work"
}

# Runs a generator and shows its output only if it fails.
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2 && fail "$1 failed"; }; }

clients_lint() {
    clients_tools
    quietly openapi-spec-validator openapi/openapi.json
    quietly redocly lint --config tests/clients/redocly.yaml --max-problems 1000 openapi/openapi.json
}

clients_generate() {
    clients_tools
    rm -rf "$work/python" "$work/typescript" "$work/generated"
    quietly openapi-generator-cli generate -g python -i openapi/openapi.json -o "$work/python" \
        --additional-properties packageName=uncloud_generated \
        --global-property apiTests=false,modelTests=false,apiDocs=false,modelDocs=false
    quietly openapi-python-client generate --path openapi/openapi.json --output-path "$work/python/uncloud_client" \
        --meta none --fail-on-warning
    clients_without_odd_types go
    clients_without_odd_types java
    mkdir "$work/typescript"
    cp tests/clients/typescript/client.ts tests/clients/typescript/tsconfig.json "$work/typescript/"
    quietly openapi-typescript openapi/openapi.json --output "$work/typescript/uncloud.d.ts"
    quietly tsc --project "$work/typescript"
    clients_rust
    touch "$work/generated" # all of them
}

# Generates a client in a language ($1) that this machine has no compiler for, and looks for what generators make of
# schemas that they do not understand.
clients_without_odd_types() {
    rm -rf "${work:?}/$1"
    quietly openapi-generator-cli generate -g "$1" -i openapi/openapi.json -o "$work/$1" \
        --global-property models,apis,apiTests=false,modelTests=false,apiDocs=false,modelDocs=false
    if grep -rnE "AnyOf|OneOf|UNKNOWN|InlineObject" "$work/$1"; then
        fail "the $1 client has types that nobody can use; give the schema a plain type"
    fi
}

# progenitor types only errors of application/json, and takes `default` for a success too. Unchanged files are not
# rewritten, so that cargo has nothing to do.
clients_rust() {
    cargo fmt --check --manifest-path "$crates"
    cp -a tests/clients/rust/. "$work/rust/"
    jq 'del(.paths[][].responses.default)' openapi/openapi.json |
        sed 's,application/problem+json,application/json,' >"$work/openapi.json"
    cmp -s "$work/openapi.json" "$work/rust/openapi.json" || mv "$work/openapi.json" "$work/rust/openapi.json"
    cargo build --quiet --locked --manifest-path "$work/rust/Cargo.toml" --target-dir "$CARGO_TARGET_DIR/tools/progenitor"
}

clients_call() {
    clients_tools
    # Not those of an earlier document.
    [ -n "$(find "$work" -maxdepth 1 -name generated -newer openapi/openapi.json)" ] || clients_generate
    tests_build # with the server
    uncloud=$CARGO_TARGET_DIR/debug/uncloud
    data_dir=$(mktemp -d "${TMPDIR:-/tmp}/uncloud-clients.XXXXXX")
    chmod 711 "$data_dir" # PostgreSQL is another user than root
    up=
    trap 'clients_end' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    export UNCLOUD_HOST=vpn-1.example.ch UNCLOUD_PASSWORD='correct horse battery'
    env -u DATABASE_URL -u REDIS_URL -u UNCLOUD_SECRET_KEY UNCLOUD_ADMIN_PASSWORD="$UNCLOUD_PASSWORD" "$uncloud" up \
        --data-dir "$data_dir" --listen 127.0.0.1:0 --queue "$UNCLOUD_HOST" >"$work/log" 2>&1 &
    up=$!
    up_wait
    UNCLOUD_URL=http://$(instance .listen)
    export UNCLOUD_URL
    client openapi-generator env PYTHONPATH="$work/python" python tests/clients/generated_python.py
    client openapi-python-client env PYTHONPATH="$work/python" python tests/clients/python_client.py
    client openapi-fetch node "$work/typescript/client.ts"
    client progenitor "$CARGO_TARGET_DIR/tools/progenitor/debug/uncloud-client"
}

# Creates a customer named $1 and runs a client program ($2...) as that customer.
client() {
    UNCLOUD_CUSTOMER=$1
    shift
    UNCLOUD_PUBLIC_KEY=$(wg genkey | wg pubkey)
    export UNCLOUD_CUSTOMER UNCLOUD_PUBLIC_KEY
    echo "$UNCLOUD_PASSWORD" | "$uncloud" bootstrap-user --data-dir "$data_dir" --username "$UNCLOUD_CUSTOMER" 2>>"$work/log"
    "$@" || fail "the client $UNCLOUD_CUSTOMER failed; see its message above"
    say "   $UNCLOUD_CUSTOMER"
}

clients_end() {
    status=$?
    trap - EXIT
    [ "$status" = 0 ] || tail -n 30 "$work/log" >&2
    if [ -n "$up" ] && kill -TERM "$up" 2>/dev/null; then wait "$up" || true; fi
    rm -rf "$data_dir"
    exit "$status"
}

# The steps that are part of `./dev test`; the programs must be built.
clients_steps() {
    step "Document" clients_lint
    step "Clients generated from it" clients_generate
    step "Clients called" clients_call
}

dev_clients() {
    install_missing tests
    crates_here
    clients_here
    step "Programs" cargo build --locked --bins
    clients_steps
}
