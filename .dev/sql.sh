# shellcheck shell=sh
# The committed data of sqlx (.sqlx/), with which the compile-time checked queries build without a database. Generated without
# sqlx-cli: sqlx's macros write it to SQLX_OFFLINE_DIR when they have a live database.

# Writes the data for the current code and migrations to folder $1.
sql_data() {
    out=$1
    bin=$(postgres_bin)
    [ -n "$bin" ] || fail "PostgreSQL's programs are missing: apt-get install postgresql, or apk add postgresql"
    world=$(mktemp -d "${TMPDIR:-/tmp}/uncloud-sql.XXXXXX")
    trap 'sql_data_end' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ "$(id -u)" = 0 ]; then unprivileged true && chown "$(unprivileged id -u)" "$world"; fi
    (
        cd /
        unprivileged "$bin/initdb" -D "$world/data" -U uncloud -A trust -E UTF8 --locale=C --no-sync
        unprivileged "$bin/pg_ctl" -D "$world/data" -w -t 60 -l "$world/log" \
            -o "-k $world -c listen_addresses='' -c fsync=off -c max_connections=20" start
    ) >"$out/.setup" 2>&1 || {
        cat "$out/.setup" >&2
        fail "the temporary PostgreSQL did not start"
    }
    rm -f "$out/.setup"
    for migration in migrations/*.sql; do
        [ -e "$migration" ] || continue
        "$bin/psql" -X -q -1 -v ON_ERROR_STOP=1 -h "$world" -U uncloud -d postgres -f "$migration" >/dev/null ||
            fail "$migration does not apply to an empty database"
    done

    # The macros run when the crate is compiled again, so it must look changed; afterwards it must look unchanged, or all
    # other kinds of builds would be repeated.
    touch -r src/lib.rs "$out/.mtime"
    touch src/lib.rs
    checked=0
    SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$out DATABASE_URL="postgres:///postgres?host=$world&user=uncloud" \
        cargo check --locked --quiet -p uncloud --lib || checked=$?
    touch -r "$out/.mtime" src/lib.rs
    rm -f "$out/.mtime"
    [ "$checked" = 0 ] || fail "the queries do not match the migrations; see the compiler's message above"
}

sql_data_end() {
    if [ -e "$world/data/postmaster.pid" ]; then
        (cd / && unprivileged "$bin/pg_ctl" -D "$world/data" -m immediate -w stop >/dev/null 2>&1) || true
    fi
    rm -rf "$world"
}

# Runs sql_data in a subshell, so that its traps stop the temporary server in every case.
sql_data_into() (sql_data "$1")

sql_update() {
    fresh=$(mktemp -d "${TMPDIR:-/tmp}/uncloud-sqlx.XXXXXX")
    trap 'rm -rf "$fresh"' EXIT
    sql_data_into "$fresh"
    mkdir -p .sqlx
    rm -f .sqlx/query-*.json
    find "$fresh" -name 'query-*.json' -exec cp {} .sqlx/ \;
    say "   .sqlx/ describes $(find .sqlx -name 'query-*.json' | wc -l) queries; commit it with the code that uses them"
}

sql_check() {
    fresh=$(mktemp -d "${TMPDIR:-/tmp}/uncloud-sqlx.XXXXXX")
    trap 'rm -rf "$fresh"' EXIT
    mkdir -p "$fresh/now" "$fresh/committed"
    sql_data_into "$fresh/now"
    find .sqlx -name 'query-*.json' -exec cp {} "$fresh/committed/" \; 2>/dev/null || true
    diff -rq "$fresh/committed" "$fresh/now" >&2 ||
        fail ".sqlx/ does not match the queries and migrations: run ./dev sql and commit .sqlx/"
}
