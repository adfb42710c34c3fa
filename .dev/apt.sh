#!/bin/sh
# Installs Debian packages ($@) as root without starting any service: uncloud runs its own private servers, and trying it
# must not make a machine listen on 5432 and 6379.
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
apt-get update || echo "dev: apt-get update failed; using the existing package lists" >&2

# Not every release has wireguard-go; a kernel with WireGuard does not need it.
wanted=
optional=
for package in "$@"; do
    if [ "$package" = wireguard-go ]; then optional=$package; else wanted="$wanted $package"; fi
done

case " $wanted " in
*" postgresql "*)
    # During its installation the package creates a database, unless this file, which another package provides, prevents it.
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
    get "$optional" || echo "dev: $optional is not available; the VPN then needs WireGuard in the kernel" >&2
fi
