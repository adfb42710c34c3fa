"""openapi-python-client's client, called as a customer's program would call it."""

import base64
import os
import time

from uncloud_client import AuthenticatedClient
from uncloud_client.api.billing_addresses import admin_seller_update, billing_address_update
from uncloud_client.api.bills import admin_bill_run_create, admin_bill_run_read, bill_list, bill_read
from uncloud_client.api.jobs import job_read
from uncloud_client.api.orders import order_create
from uncloud_client.api.tokens import token_create
from uncloud_client.api.vpn import vpn_create, vpn_read
from uncloud_client.api.vpn_pools import admin_vpnpool_create
from uncloud_client.models import (
    BillCreate,
    BillingAddressUpdate,
    Job,
    JobRef,
    JobState,
    NetworkStatus,
    OrderCreate,
    OrderParameters,
    OrderStatus,
    Problem,
    Scope,
    SellerAccountUpdate,
    SellerUpdate,
    TokenCreate,
    VpnNetworkCreate,
    VpnPoolCreate,
)
from uncloud_client.types import UNSET


def caller(user: str, *scopes: Scope) -> AuthenticatedClient:
    """A program signs in with a token, which its user makes with the password."""
    url, password = os.environ["UNCLOUD_URL"], os.environ["UNCLOUD_PASSWORD"]
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    asked = TokenCreate(name="example", scopes=list(scopes))
    token = token_create.sync(client=AuthenticatedClient(url, token=basic, prefix="Basic"), body=asked)
    return AuthenticatedClient(url, token=token.secret)


def succeeded(asking: AuthenticatedClient, job: JobRef) -> Job:
    ended = job_read.sync(job.id, client=asking, wait=30)
    assert isinstance(ended, Job) and ended.state == JobState.SUCCEEDED, ended
    return ended


staff = caller("admin", Scope.READ, Scope.WRITE, Scope.STAFF)
customer = caller(os.environ["UNCLOUD_CUSTOMER"], Scope.READ, Scope.WRITE)

# A pool of prefixes, and a network of it.
asked = VpnPoolCreate(
    network="2001:db8:200::/40", subnetwork_size=48, vpn_hostname=os.environ["UNCLOUD_HOST"], listen_port=51822
)
pool = admin_vpnpool_create.sync(client=staff, body=asked)
assert pool.network == asked.network, pool
succeeded(staff, pool.job)
key = os.environ["UNCLOUD_PUBLIC_KEY"]
network = vpn_create.sync(client=customer, body=VpnNetworkCreate(network_size=48, wireguard_public_key=key))
succeeded(customer, network.job)
network = vpn_read.sync(network.id, client=customer)
assert (network.status, network.wireguard_public_key) == (NetworkStatus.ACTIVE, key), network

# The seller, in whose name bills are.
seller = SellerUpdate(
    name="Provider AG",
    street="Bahnhofstrasse 1",
    postal_code="8783",
    city="Linthal",
    country="CH",
    vat_number="CHE-123.456.788 MWST",
    time_zone="Europe/Zurich",
    accounts=[SellerAccountUpdate(currency="CHF", iban="CH93 0076 2011 6238 5295 7")],
)
assert admin_seller_update.sync(client=staff, body=seller).accounts[0].iban == "CH9300762011623852957"

# An order. Money is text, to the cent.
address = BillingAddressUpdate(
    name="Alice Example", street="Hauptstrasse 1", postal_code="8783", city="Linthal", country="CH"
)
billing_address_update.sync(client=customer, body=address)
parameters = OrderParameters.from_dict({"cores": 2, "memory_gb": 4})
asked = OrderCreate(product="ipv6-vm", parameters=parameters, recurring_period="P30D", currency="CHF")
order = order_create.sync(client=customer, body=asked)
assert (order.status, order.recurring, order.one_time) == (OrderStatus.ACTIVE, "28.00", "0.00"), order

# A bill run, and the bill.
run_id = succeeded(staff, admin_bill_run_create.sync(client=staff, body=BillCreate()).job).result["run"]
until = time.monotonic() + 30
while admin_bill_run_read.sync(run_id, client=staff).finished_at is UNSET:
    assert time.monotonic() < until, "the run does not end"
    time.sleep(0.1)
bill = bill_read.sync(bill_list.sync(client=customer).items[0].id, client=customer)
assert (bill.net, bill.tax, bill.gross, bill.amount_due) == ("28.00", "2.27", "30.27", "30.27"), bill
record = next(record for record in bill.records if record.order_id == order.id)
assert (record.unit_price, record.net, record.vat_rate) == ("28.00", "28.00", "0.081"), record

# What is not there.
refused = vpn_read.sync(4711, client=customer)
assert isinstance(refused, Problem), refused
assert (refused.status, refused.code) == (404, "not_found"), refused
