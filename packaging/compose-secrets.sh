#!/bin/sh
# Creates the folder secrets/ that docker-compose.yml reads; keeps existing files. Arguments: names of VPN hosts.
#
# Containers read the files under other user ids than yours, so the files are readable for all, but the folder is private.
# Back up secrets/secret-key separately from the database: without the key, the private keys in the database are lost; with
# both, anyone can read them.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- vpn-1.example.ch
umask 077
mkdir -p secrets
chmod 700 secrets

random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
hash() { printf '%s' "$1" | sha256sum | cut -d' ' -f1; }
put() { # file, content
    printf '%s\n' "$2" >"secrets/$1"
    chmod 644 "secrets/$1"
}

if [ ! -e secrets/secret-key ]; then
    put secret-key "$(head -c 32 /dev/urandom | base64 | tr -d '\n')"
fi
if [ ! -e secrets/postgres-password ]; then
    password=$(random)
    put postgres-password "$password"
    put database-url "postgres://uncloud:$password@postgres/uncloud"
fi
if [ ! -e secrets/users.acl ]; then
    password=$(random)
    put users.acl "user default off
user server on #$(hash "$password") resetchannels ~uncloud:* -@all +@stream +ping +scan +evalsha +script|load"
    put redis-url "redis://server:$password@redis"
fi
# The same line as `uncloud worker-host add NAME --print` writes.
for queue in billing "$@"; do
    case $queue in
    *[!a-z0-9.-]*)
        echo "compose-secrets.sh: $queue is not a valid host name; must be in lower case" >&2
        exit 1
        ;;
    esac
    [ ! -e "secrets/$queue.broker-url" ] || continue
    password=$(random)
    put users.acl "$(cat secrets/users.acl)
user host-$queue on #$(hash "$password") resetchannels -@all +multi +exec +xgroup|create +xreadgroup +xautoclaim +xpending +xclaim +xack +xdel ~uncloud:{$queue}:jobs (-@all +xadd %W~uncloud:{$queue}:events %W~uncloud:{$queue}:reports) (-@all +xread %R~uncloud:{$queue}:control)"
    put "$queue.broker-url" "redis://host-$queue:$password@redis"
done
