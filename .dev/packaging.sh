# shellcheck shell=sh
# Checks the files for operators (packaging/, docker-compose.yml) with the programs that will read them.

packaging_check() {
    checked=$(mktemp -d "${TMPDIR:-/tmp}/uncloud-packaging.XXXXXX")
    trap 'rm -rf "$checked"' EXIT
    packaging_sudoers
    packaging_units
    packaging_compose
}

packaging_sudoers() {
    visudo -c -q -f packaging/sudoers.d/uncloud || fail "sudo refuses packaging/sudoers.d/uncloud"
}

# The programs in the units may not be installed on this machine, so the checked copies name another one.
packaging_units() {
    cp packaging/systemd/*.socket "$checked/"
    for unit in packaging/systemd/*.service; do
        case $unit in
        *@.service) copy=$checked/$(basename "$unit" @.service)@vpn-1.example.ch.service ;;
        *) copy=$checked/$(basename "$unit") ;;
        esac
        sed 's,=/usr/bin/uncloud[-a-z]*,=/bin/true,' "$unit" >"$copy"
        mkdir -p "$copy.d"
    done
    packaging_units_pass
    for unit in uncloud-worker@vpn-1.example.ch uncloud-worker-restore; do
        cp packaging/systemd/sudo.conf "$checked/$unit.service.d/"
    done
    packaging_units_pass
}

packaging_units_pass() {
    for copy in "$checked"/*.service "$checked"/*.socket; do
        said=$(systemd-analyze verify --man=no "$copy" 2>&1) || fail "$copy: $said"
        # Warnings count as errors: an option that systemd does not know does not protect anything.
        if printf '%s\n' "$said" | grep -F "$checked" >&2; then fail "systemd complains about a unit; see above"; fi
    done
}

packaging_compose() {
    if have docker && docker compose version >/dev/null 2>&1; then
        compose='docker compose'
    elif have docker-compose; then
        compose=docker-compose # Debian's; it reads the same file
    else
        say "   left out: docker compose is not installed (package docker-compose)"
        return
    fi
    mkdir -p "$checked/compose/packaging"
    cp docker-compose.yml "$checked/compose/"
    cp packaging/compose-secrets.sh "$checked/compose/packaging/"
    sh "$checked/compose/packaging/compose-secrets.sh"
    (cd "$checked/compose" && $compose config -q) || fail "docker compose refuses docker-compose.yml"
}
