# shellcheck shell=sh
# Installs missing dependencies of the other parts from Debian or Ubuntu; if none is missing, it does not use the network.

# Each line: a check that succeeds if it is installed | Debian's package | Alpine's | its purpose.
needed() {
    cat <<'END'
[ -n "$(postgres_bin)" ]|postgresql|postgresql|the database
have redis-server || have valkey-server|redis-server|redis|delivers jobs to the workers
have wg|wireguard-tools|wireguard-tools|the VPN
have wireguard-go|wireguard-go|wireguard-go|the VPN where the kernel has no WireGuard
have ip|iproute2|iproute2|networks of the VPN hosts
have ping|iputils-ping|iputils-ping|shows that the tunnel works
have slapd|slapd|openldap openldap-back-mdb openldap-overlay-ppolicy|the directory of the tests
have curl|curl|curl|sends the tour's requests to the API
have jq|jq|jq|reads the responses in the tour
have http|httpie|httpie|runs the handbook's commands in a test
have script|bsdutils|util-linux-misc|the terminal of those commands
have setpriv|util-linux|setpriv|runs PostgreSQL as another user than root
have openssl|openssl|openssl|makes the certificates of the tests
have sudo|sudo|sudo|the tests of a worker without root
have faketime|faketime|libfaketime|the test of a host whose clock is wrong
have docker-compose || docker compose version >/dev/null 2>&1|docker-compose|docker-cli-compose|checks docker-compose.yml
have cc|gcc|gcc|links the programs
[ -e /usr/include/stdio.h ]|libc6-dev|musl-dev|links the programs
[ -e /etc/ssl/certs/ca-certificates.crt ]|ca-certificates|ca-certificates|downloads of crates
END
}

# The same for the dependencies of ./dev test, ./dev fuzz and ./dev clients only.
needed_by_tests() {
    cat <<'END'
have systemd-analyze|systemd|systemd|a test compares its reader of settings with ours, another one checks the units
have pgbouncer|pgbouncer|pgbouncer|a test puts it in front of PostgreSQL
[ -x /usr/sbin/sshd ]|openssh-server|openssh-server|a test reaches PostgreSQL through it
have ssh|openssh-client|openssh-client|the same
have zsh|zsh|zsh|a test reads the completion script with it
have fish|fish|fish|the same
have man|man-db|man-db|a test reads the manual pages with it
have shellcheck|shellcheck|shellcheck|reads the scripts of ./dev
have chromedriver|chromium-driver|chromium-chromedriver|a test reads the docs page in a browser with it
python3 -c 'import ensurepip' >/dev/null 2>&1|python3-venv|python3|runs schemathesis, which asks the API what nobody thought of, and generators of clients
END
}

# On Debian, the folders of root's programs are not in every user's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

# Writes the missing ones to stdout, one per line: Debian's package, Alpine's, its purpose.
missing() {
    {
        needed
        if [ "${1:-}" = tests ]; then needed_by_tests; fi
    } | while IFS='|' read -r line; do
        # The check itself may contain "||", so the three fields are split off from the right.
        what_for=${line##*|} rest=${line%|*}
        apk=${rest##*|} rest=${rest%|*}
        apt=${rest##*|} question=${rest%|*}
        if ! eval "$question"; then printf '%s\t%s\t%s\n' "$apt" "$apk" "$what_for"; fi
    done
}

# Installs the tests' dependencies too if $1 = tests.
install_missing() {
    list=$(missing "$@")
    [ -n "$list" ] || return 0
    apt_packages=$(printf '%s\n' "$list" | cut -f1 | tr '\n' ' ')
    heading "Missing on this machine"
    printf '%s\n' "$list" | while IFS="$(printf '\t')" read -r apt _ what_for; do say "   $apt: $what_for"; done
    if ! have apt-get; then
        say "This system is not Debian or Ubuntu. Install them manually and run this command again:"
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
        fail "run as root: apt-get install $apt_packages"
    fi
    # Not "step": apt-get shows its own progress. Root's part is one script, so that its cleanup also runs as root.
    # shellcheck disable=SC2086 # the packages are words
    $sudo sh .dev/apt.sh $apt_packages
    [ -z "$(missing "$@")" ] || say "   still missing: $(missing "$@" | cut -f1 | tr '\n' ' ')(the parts that need it will report it)"
}
