# shellcheck shell=sh
# Installs what the other parts need from Debian or Ubuntu, and only what is missing: when all is there, no network is used.

# Each line: a question that is true when it is there | Debian's package | Alpine's | what for.
needed() {
    cat <<'END'
[ -n "$(postgres_bin)" ]|postgresql|postgresql|the database
have redis-server || have valkey-server|redis-server|redis|carries jobs to the workers
have wg|wireguard-tools|wireguard-tools|the VPN
have wireguard-go|wireguard-go|wireguard-go|the VPN where the kernel has no WireGuard
have ip|iproute2|iproute2|networks of the VPN hosts
have ping|iputils-ping|iputils-ping|shows that the tunnel works
have slapd|slapd|openldap openldap-back-mdb openldap-overlay-ppolicy|the directory of the tests
have curl|curl|curl|the tour asks the API with it
have jq|jq|jq|the tour reads the answers with it
have http|httpie|httpie|a test runs the handbook's commands with it
have script|bsdutils|util-linux-misc|the terminal of those commands
have setpriv|util-linux|setpriv|runs PostgreSQL as another user than root
have openssl|openssl|openssl|makes the certificates of the tests
have sudo|sudo|sudo|the tests of a worker without root
have faketime|faketime|libfaketime|the test of a host whose clock is wrong
have docker-compose || docker compose version >/dev/null 2>&1|docker-compose|docker-cli-compose|reads docker-compose.yml, which is shipped
have cc|gcc|gcc|links the programs
[ -e /usr/include/stdio.h ]|libc6-dev|musl-dev|links the programs
[ -e /etc/ssl/certs/ca-certificates.crt ]|ca-certificates|ca-certificates|downloads of crates
END
}

# The same for what only ./dev test, ./dev fuzz and ./dev clients need.
needed_by_tests() {
    cat <<'END'
have chromedriver|chromium-driver|chromium-chromedriver|a test reads the docs page in a browser with it
python3 -c 'import ensurepip' >/dev/null 2>&1|python3-venv|python3|runs schemathesis, which asks the API what nobody thought of, and generators of clients
END
}

# The folders of root's programs are not in everybody's PATH on Debian.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

# Writes the missing ones to stdout, one a line: Debian's package, Alpine's, what for.
missing() {
    {
        needed
        if [ "${1:-}" = tests ]; then needed_by_tests; fi
    } | while IFS='|' read -r line; do
        # The question may itself contain "||", so the three fields are cut off from the right.
        what_for=${line##*|} rest=${line%|*}
        apk=${rest##*|} rest=${rest%|*}
        apt=${rest##*|} question=${rest%|*}
        if ! eval "$question"; then printf '%s\t%s\t%s\n' "$apt" "$apk" "$what_for"; fi
    done
}

# All of them with $1 = tests.
install_missing() {
    list=$(missing "$@")
    [ -n "$list" ] || return 0
    apt_packages=$(printf '%s\n' "$list" | cut -f1 | tr '\n' ' ')
    heading "Missing on this machine"
    printf '%s\n' "$list" | while IFS="$(printf '\t')" read -r apt _ what_for; do say "   $apt: $what_for"; done
    if ! have apt-get; then
        say "This is no Debian or Ubuntu, so install them yourself and come again:"
        say "   Debian, Ubuntu:  apt-get install $apt_packages"
        say "   Alpine:          apk add $(printf '%s\n' "$list" | cut -f2 | tr '\n' ' ')"
        exit 1
    fi
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif have sudo; then
        sudo=sudo
        say "   apt-get runs as root: sudo may ask for your password"
    else
        fail "as root, type: apt-get install $apt_packages"
    fi
    # Not "step": what apt-get says is the progress. Root's part is one script, so that its cleaning up is root's as well.
    # shellcheck disable=SC2086 # the packages are words
    $sudo sh .dev/apt.sh $apt_packages
    [ -z "$(missing "$@")" ] || say "   still missing: $(missing "$@" | cut -f1 | tr '\n' ' ')(what needs it will say so)"
}
