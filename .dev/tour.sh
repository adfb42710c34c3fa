# shellcheck shell=sh
# The tour: a customer's first VPN network, each step as a request that the reader can repeat. It may run again on the same
# data: it uses existing objects. `data_dir`, `uncloud`, `tour_id` and `instance` come from run.sh.

pool_network=2001:db8:100::
pool_host=vpn-2a0ae5c1200.ungleich.ch
customer=alice

tour() {
    : "${data_dir:?}" "${uncloud:?}" "${tour_id:?}" "${bold?}" "${plain?}"
    umask 077
    listen=$(instance .listen)
    url=http://$(echo "$listen" | sed 's/^0\.0\.0\.0:/127.0.0.1:/; s/^\[::\]:/[::1]:/')
    kept=$data_dir/tour
    work=$kept/work
    rm -rf "$work"
    mkdir -p "$work"
    trap 'rm -rf "$work"' EXIT
    tour_users
    tour_pool
    tour_network
    tour_follow
    tour_config
    tour_ping
    tour_next
}

# Shows and sends a request: user, method, path, body. The response is in $answer, its status in $code.
ask() {
    ask_user=$1 ask_method=$2 ask_path=$3 ask_body=${4:-}
    case $ask_user in
    admin)
        if [ -n "${UNCLOUD_ADMIN_PASSWORD:-}" ]; then
            shown_user="admin:\$UNCLOUD_ADMIN_PASSWORD"
        else
            shown_user="admin:\$(cat $data_dir/admin-password)"
        fi
        ;;
    *) shown_user=$ask_user:$customer_password ;;
    esac
    printf '\n%s$ curl -u "%s"' "$bold" "$shown_user"
    [ "$ask_method" = GET ] || printf ' -X %s' "$ask_method"
    [ -z "$ask_body" ] || printf " -H 'content-type: application/json' -d '%s'" "$ask_body"
    printf " '%s'%s\n" "$url$ask_path" "$plain"
    set -- -sS --max-time 60 -X "$ask_method" -K "$work/$ask_user" -o "$work/answer" -w '%{http_code}'
    [ -z "$ask_body" ] || set -- "$@" -H 'content-type: application/json' -d "$ask_body"
    code=$(curl "$@" "$url$ask_path")
    answer=$(cat "$work/answer")
    printf '%s ' "$code"
    jq . "$work/answer" 2>/dev/null || printf '\n%s\n' "$answer"
    case $code in
    2*) ;;
    *) fail "the tour ends here: unexpected response" ;;
    esac
}

# Runs jq on the last response.
got() { printf '%s' "$answer" | jq -r "$@"; }
# Writes a file for curl -K, so that no password is in an argument list.
login() { printf 'user = "%s:%s"\n' "$1" "$2" >"$work/$1"; }

tour_users() {
    heading "1. Who is here: admin (staff), and $customer, a made-up customer"
    admin_password=${UNCLOUD_ADMIN_PASSWORD:-$(cat "$data_dir/admin-password")}
    login admin "$admin_password"
    if [ ! -s "$kept/$customer-password" ]; then wg genkey | tr -dc 'a-zA-Z0-9' | cut -c1-16 >"$kept/$customer-password"; fi
    customer_password=$(cat "$kept/$customer-password")
    login "$customer" "$customer_password"
    printf '%s$ echo %s | %s bootstrap-user --data-dir %s --username %s%s\n' \
        "$bold" "$customer_password" "$uncloud" "$data_dir" "$customer" "$plain"
    "$uncloud" bootstrap-user --data-dir "$data_dir" --username "$customer" <"$kept/$customer-password"
}

tour_pool() {
    heading "2. Staff: a pool of prefixes that $pool_host serves"
    ask admin GET '/v1/admin/vpnpool'
    pool=$(got ".items[] | select(.network | startswith(\"$pool_network\")) | .id" | head -n 1)
    if [ -n "$pool" ]; then
        say "The sample pool exists already."
        return
    fi
    ask admin POST /v1/admin/vpnpool \
        "{\"network\": \"$pool_network\", \"network_size\": 40, \"subnetwork_size\": 48, \"vpn_hostname\": \"$pool_host\"}"
}

tour_network() {
    heading "3. $customer: a network of her own, for her public key (the private one stays with her)"
    printf '%s$ wg genkey | tee %s/%s.key | wg pubkey%s\n' "$bold" "$kept" "$customer" "$plain"
    [ -s "$kept/$customer.key" ] || wg genkey >"$kept/$customer.key"
    key=$(wg pubkey <"$kept/$customer.key")
    echo "$key"
    ask "$customer" GET '/v1/net/vpn'
    network=$(got --arg key "$key" ".items[] | select(.wireguard_public_key == \$key and .status != \"deleting\") | .id" | head -n 1)
    if [ -n "$network" ]; then
        say "She has it already, from an earlier tour."
        ask "$customer" GET "/v1/net/vpn/$network"
        return
    fi
    ask "$customer" POST /v1/net/vpn "{\"network_size\": 48, \"wireguard_public_key\": \"$key\"}"
    network=$(got .id)
}

tour_follow() {
    heading "4. The job on its way: database, Redis, the worker of $pool_host, and back"
    job=$(got '.job.id // empty')
    tries=0
    [ -z "$job" ] || ask "$customer" GET "/v1/job/$job"
    say "With ?wait=30 the server responds as soon as the job has finished:"
    while [ -n "$job" ]; do
        ask "$customer" GET "/v1/job/$job?wait=30"
        case $(got .state) in
        succeeded | superseded) break ;;
        failed | revoked) fail "the job did not succeed; see its error above" ;;
        esac
        tries=$((tries + 1))
        [ "$tries" -lt 10 ] || fail "the job does not finish; check in the log above whether its worker is running"
    done
    ask "$customer" GET "/v1/net/vpn/$network"
    endpoint=$(got '.endpoint // empty')
}

tour_config() {
    heading "5. What she gives to WireGuard, complete but for her private key"
    ask "$customer" GET "/v1/net/vpn/$network/config"
    printf '%s\n' "$answer" >"$work/config"
}

tour_ping() {
    heading "6. A ping through the tunnel"
    [ -n "$endpoint" ] || endpoint=$(sed -n 's/^Endpoint *= *//p' "$work/config")
    host=${endpoint%:*} port=${endpoint##*:}
    host_ns=$(of_host netns)
    how=$(of_host wireguard_implementation)
    why=$(of_host dry_run)
    if [ -z "$host_ns" ]; then
        [ -n "$why" ] || why="$host has no network namespace of its own here"
        say "Left out: $why."
        return
    fi
    ask admin GET '/v1/admin/vpnpool'
    server=$(got --arg host "$host" --arg port "$port" \
        ".items[] | select(.vpn_hostname == \$host and (.listen_port | tostring) == \$port) | .network" | head -n 1)
    server=${server%/*}1

    tour_ns=uncloud-$tour_id-tour
    tour_if=wgt-$tour_id
    tour_end
    say "A second network namespace simulates her computer, connected to the host's by a virtual cable (veth)."
    ip netns add "$tour_ns"
    ip -n "$tour_ns" link set lo up
    ip link add tour-host netns "$host_ns" type veth peer name tour-customer netns "$tour_ns"
    ip -n "$host_ns" addr add fd75:6e63::1/64 dev tour-host nodad
    ip -n "$host_ns" link set tour-host up
    ip -n "$tour_ns" addr add fd75:6e63::2/64 dev tour-customer nodad
    ip -n "$tour_ns" link set tour-customer up
    case $how in
    kernel) ip -n "$tour_ns" link add dev "$tour_if" type wireguard ;;
    *) ip netns exec "$tour_ns" wireguard-go "$tour_if" >/dev/null 2>&1 ;;
    esac
    # Her configuration, with her private key; the host's name is the other end of the cable, as there is no DNS for it.
    awk -v key="$(cat "$kept/$customer.key")" -v endpoint="[fd75:6e63::1]:$port" '
        /^#? *(PrivateKey|Address|DNS|MTU) *=/ { next }
        /^Endpoint *=/ { print "Endpoint = " endpoint; next }
        { print }
        /^\[Interface\]/ { print "PrivateKey = " key }' "$work/config" |
        ip netns exec "$tour_ns" wg setconf "$tour_if" /dev/stdin
    ip -n "$tour_ns" link set dev "$tour_if" mtu 1420 up
    sed -n 's/^Address *= *//p' "$work/config" | tr ',' '\n' | while read -r address; do
        ip -n "$tour_ns" addr add "$address" dev "$tour_if" nodad
    done
    ip -n "$tour_ns" route add default dev "$tour_if"
    ip -n "$tour_ns" -6 route add default dev "$tour_if"
    printf '\n%s$ ping -c 3 %s%s    (the host, inside the tunnel)\n' "$bold" "$server" "$plain"
    ip netns exec "$tour_ns" ping -c 3 -i 0.3 -W 5 "$server" || fail "no reply through the tunnel"
    for interface in $(ip -n "$host_ns" -o link show | sed -n 's/^[0-9]*: \(wg[^:@]*\)[:@].*/\1/p'); do
        printf '\n%s$ ip netns exec %s wg show %s%s    (what the host sees)\n' "$bold" "$host_ns" "$interface" "$plain"
        ip netns exec "$host_ns" wg show "$interface"
    done
    tour_end
}

# Prints a field of the instance's record of $host, or nothing.
of_host() { instance --arg host "$host" --arg field "$1" ".hosts[] | select(.queue == \$host) | .[\$field] // empty"; }

# Removes the second namespace. Its link is removed first, which makes wireguard-go exit.
tour_end() {
    if [ "$(id -u)" != 0 ] || ! have ip; then return 0; fi
    [ -n "$tour_id" ] && [ -e "/run/netns/uncloud-$tour_id-tour" ] || return 0
    ip -n "uncloud-$tour_id-tour" link del dev "wgt-$tour_id" 2>/dev/null || true
    ip -n "uncloud-$tour_id-tour" link del dev tour-customer 2>/dev/null || true
    ip netns del "uncloud-$tour_id-tour"
}

tour_next() {
    heading "Now you"
    cat <<END
Everything above can be typed again. Some more, in another terminal:
    curl -u $customer:$customer_password $url/v1/net/vpn
    curl -u $customer:$customer_password $url/v1/net/vpn -H 'content-type: application/json' \\
        -d '{"network_size": "48", "wireguard_public_key": "'"\$(wg genkey | wg pubkey)"'"}'
    curl -u $customer:$customer_password -X DELETE $url/v1/net/vpn/$network
    http -a $customer:$customer_password $url/v1/net/vpn/
    echo 'another-password' | $uncloud bootstrap-user --data-dir $data_dir --username bob
    $uncloud vpn --data-dir $data_dir --hostname $pool_host
To read and try the whole API: $url/docs
END
}
