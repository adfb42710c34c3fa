// openapi-fetch with openapi-typescript's types, called as a customer's page or program would call it. That it compiles
// says as much as that it runs: every path, parameter, body and answer is typed by the document.
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./uncloud.d.ts";

type Schemas = components["schemas"];

function env(name: string): string {
  const value = process.env[name];
  assert(value !== undefined, `${name} is not set`);
  return value;
}

// A program signs in with a token, which its user makes with the password.
async function caller(user: string, ...scopes: Schemas["Scope"][]): Promise<Client<paths>> {
  const baseUrl = env("UNCLOUD_URL");
  const basic = btoa(`${user}:${env("UNCLOUD_PASSWORD")}`);
  const withPassword = createClient<paths>({ baseUrl, headers: { authorization: `Basic ${basic}` } });
  const token = got(await withPassword.POST("/v1/token", { body: { name: "example", scopes } }));
  return createClient<paths>({ baseUrl, headers: { authorization: `Bearer ${token.secret}` } });
}

function got<Data>(answer: { data?: Data; error?: Schemas["Problem"] }): Data {
  assert(answer.data !== undefined, answer.error?.detail);
  return answer.data;
}

async function succeeded(asking: Client<paths>, job: Schemas["JobRef"] | undefined): Promise<Schemas["Job"]> {
  assert(job !== undefined);
  const ended = got(await asking.GET("/v1/job/{id}", { params: { path: { id: job.id }, query: { wait: 30 } } }));
  assert.equal(ended.state, "succeeded");
  return ended;
}

const staff = await caller("admin", "read", "write", "staff");
const customer = await caller(env("UNCLOUD_CUSTOMER"), "read", "write");

// A pool of prefixes, and a network of it.
const asked: Schemas["VpnPoolCreate"] = {
  network: "2001:db8:300::/40",
  subnetwork_size: 48,
  vpn_hostname: env("UNCLOUD_HOST"),
  listen_port: 51823,
};
const pool = got(await staff.POST("/v1/admin/vpnpool", { body: asked }));
assert.equal(pool.network, asked.network);
await succeeded(staff, pool.job);
const key = env("UNCLOUD_PUBLIC_KEY");
const made = got(await customer.POST("/v1/net/vpn", { body: { network_size: 48, wireguard_public_key: key } }));
await succeeded(customer, made.job);
const network = got(await customer.GET("/v1/net/vpn/{id}", { params: { path: { id: made.id } } }));
assert.deepEqual([network.status, network.wireguard_public_key], ["active", key]);

// The seller, in whose name bills are.
const seller: Schemas["SellerUpdate"] = {
  name: "Provider AG",
  street: "Bahnhofstrasse 1",
  postal_code: "8783",
  city: "Linthal",
  country: "CH",
  vat_number: "CHE-123.456.788 MWST",
  time_zone: "Europe/Zurich",
  accounts: [{ currency: "CHF", iban: "CH93 0076 2011 6238 5295 7" }],
};
assert.equal(got(await staff.PUT("/v1/admin/seller", { body: seller })).accounts[0]?.iban, "CH9300762011623852957");

// An order. Money is text, to the cent.
const address = { name: "Alice Example", street: "Hauptstrasse 1", postal_code: "8783", city: "Linthal", country: "CH" };
got(await customer.PUT("/v1/billing_address", { body: address }));
const wanted: Schemas["OrderCreate"] = {
  product: "ipv6-vm",
  parameters: { cores: 2, memory_gb: 4 },
  recurring_period: "P30D",
  currency: "CHF",
};
const order = got(await customer.POST("/v1/order", { body: wanted }));
assert.deepEqual([order.status, order.recurring, order.one_time], ["active", "28.00", "0.00"]);

// A bill run, and the bill.
const begun = await succeeded(staff, got(await staff.POST("/v1/admin/bill_run", { body: {} })).job);
const { run } = begun.result as { run: number };
const until = performance.now() + 30_000;
while (!got(await staff.GET("/v1/admin/bill_run/{id}", { params: { path: { id: run } } })).finished_at) {
  assert(performance.now() < until, "the run does not end");
  await setTimeout(100);
}
const [listed] = got(await customer.GET("/v1/bill")).items;
assert(listed !== undefined);
const bill = got(await customer.GET("/v1/bill/{id}", { params: { path: { id: listed.id } } }));
assert.deepEqual([bill.net, bill.tax, bill.gross, bill.amount_due], ["28.00", "2.27", "30.27", "30.27"]);
const record = bill.records.find((record) => record.order_id === order.id);
assert.deepEqual([record?.unit_price, record?.net, record?.vat_rate], ["28.00", "28.00", "0.081"]);

// What is not there.
const missing = await customer.GET("/v1/net/vpn/{id}", { params: { path: { id: 4711 } } });
const problem: Schemas["Problem"] | undefined = missing.error;
assert.equal(missing.response.status, 404);
assert.deepEqual([problem?.status, problem?.code], [404, "not_found"]);
