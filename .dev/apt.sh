#!/bin/sh
# Installs Debian packages ($@) as root without starting any service: uncloud runs private servers of its own, and a machine
# must not suddenly listen on 5432 and 6379 because somebody tried it.
set -eu
export DEBIAN_FRONTEND=noninteractive

policy=/usr/sbin/policy-rc.d
cluster=/etc/postgresql-common/createcluster.conf
kept=$(mktemp -d)

restore() {
    if [ -e "$kept/policy-rc.d" ] || [ -L "$kept/policy-rc.d" ]; then
        cp -a "$kept/policy-rc.d" "$policy"
    else
        rm -f "$policy"
    fi
    if [ -e "$kept/createcluster.conf" ]; then cp -a "$kept/createcluster.conf" "$cluster"; fi
    rm -rf "$kept"
}

if [ -e "$policy" ] || [ -L "$policy" ]; then cp -a "$policy" "$kept/policy-rc.d"; fi
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
rm -f "$policy"
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

get() { apt-get install -y --no-install-recommends "$@"; }

echo "== apt-get update" >&2
apt-get update || echo "dev: apt-get update failed; trying with the package lists that are here" >&2

# Not every release has wireguard-go; a kernel with WireGuard does without it.
wanted=
optional=
for package in "$@"; do
    if [ "$package" = wireguard-go ]; then optional=$package; else wanted="$wanted $package"; fi
done

case " $wanted " in
*" postgresql "*)
    # The package makes a database of its own while it is installed, unless this file, which comes with another one, says no.
    echo "== apt-get install postgresql-common" >&2
    get postgresql-common
    if [ -e "$cluster" ]; then
        cp -a "$cluster" "$kept/createcluster.conf"
        sed -i '/^[[:space:]]*create_main_cluster/d' "$cluster"
        echo 'create_main_cluster = false' >>"$cluster"
    fi
    ;;
esac
if [ -n "$wanted" ]; then
    echo "== apt-get install$wanted" >&2
    # shellcheck disable=SC2086 # the packages are words
    get $wanted
fi
case " $wanted " in
*" redis-server "*) systemctl disable redis-server >/dev/null 2>&1 || true ;; # nor at the next boot
esac
if [ -n "$optional" ]; then
    echo "== apt-get install $optional" >&2
    get "$optional" || echo "dev: no $optional here; the VPN needs WireGuard in the kernel then" >&2
fi
