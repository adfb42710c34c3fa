"""openapi-generator's client for Python, called as a customer's program would call it."""

import os
import time

import uncloud_generated as uncloud
from uncloud_generated.exceptions import NotFoundException


def caller(user: str) -> uncloud.ApiClient:
    password = os.environ["UNCLOUD_PASSWORD"]
    return uncloud.ApiClient(uncloud.Configuration(host=os.environ["UNCLOUD_URL"], username=user, password=password))


def succeeded(asking: uncloud.ApiClient, job: uncloud.JobRef) -> uncloud.Job:
    ended = uncloud.JobsApi(asking).job_read(job.id, wait=30)
    assert ended.state == uncloud.JobState.SUCCEEDED, ended
    return ended


staff, customer = caller("admin"), caller(os.environ["UNCLOUD_CUSTOMER"])

# A pool of prefixes, and a network of it.
asked = uncloud.VpnPoolCreate(
    network="2001:db8:100::/40",
    subnetwork_size=48,
    vpn_hostname=os.environ["UNCLOUD_HOST"],
    listen_port=51821,
)
pool = uncloud.VpnPoolsApi(staff).admin_vpnpool_create(asked)
assert pool.network == asked.network, pool
succeeded(staff, pool.job)
vpn = uncloud.VpnApi(customer)
key = os.environ["UNCLOUD_PUBLIC_KEY"]
network = vpn.vpn_create(uncloud.VpnNetworkCreate(network_size=48, wireguard_public_key=key))
succeeded(customer, network.job)
network = vpn.vpn_read(network.id)
assert (network.status, network.wireguard_public_key) == (uncloud.NetworkStatus.ACTIVE, key), network

# The seller, in whose name bills are.
seller = uncloud.SellerUpdate(
    name="Provider AG",
    street="Bahnhofstrasse 1",
    postal_code="8783",
    city="Linthal",
    country="CH",
    vat_number="CHE-123.456.788 MWST",
    time_zone="Europe/Zurich",
    accounts=[uncloud.SellerAccountUpdate(currency="CHF", iban="CH93 0076 2011 6238 5295 7")],
)
assert uncloud.BillingAddressesApi(staff).admin_seller_update(seller).accounts[0].iban == "CH9300762011623852957"

# An order. Money is text, to the cent.
address = uncloud.BillingAddressUpdate(
    name="Alice Example", street="Hauptstrasse 1", postal_code="8783", city="Linthal", country="CH"
)
uncloud.BillingAddressesApi(customer).billing_address_update(address)
order = uncloud.OrdersApi(customer).order_create(
    uncloud.OrderCreate(
        product="ipv6-vm",
        parameters={"cores": 2, "memory_gb": 4},
        recurring_period="P30D",
        currency="CHF",
    )
)
assert (order.status, order.recurring, order.one_time) == (uncloud.OrderStatus.ACTIVE, "28.00", "0.00"), order

# A bill run, and the bill.
bills = uncloud.BillsApi(staff)
run_id = succeeded(staff, bills.admin_bill_run_create(uncloud.BillCreate()).job).result["run"]
until = time.monotonic() + 30
while bills.admin_bill_run_read(run_id).finished_at is None:
    assert time.monotonic() < until, "the run does not end"
    time.sleep(0.1)
listed = uncloud.BillsApi(customer).bill_list()
bill = uncloud.BillsApi(customer).bill_read(listed.items[0].id)
assert (bill.net, bill.tax, bill.gross, bill.amount_due) == ("28.00", "2.27", "30.27", "30.27"), bill
record = next(record for record in bill.records if record.order_id == order.id)
assert (record.unit_price, record.net, record.vat_rate) == ("28.00", "28.00", "0.081"), record

# What is not there.
try:
    vpn.vpn_read(4711)
    raise AssertionError("there is no such network")
except NotFoundException as refused:
    assert isinstance(refused.data, uncloud.Problem), refused
    assert (refused.data.status, refused.data.code) == (404, "not_found"), refused
