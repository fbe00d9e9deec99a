// npm fhir-kit-client: discovery both ways, paging both ways, references, writes, bundles, and what must not work.
import { strict as assert } from "node:assert";
import { createHash, randomBytes } from "node:crypto";
import { setup, User } from "./user.mjs";

const { Client } = await import(`${process.env.VESTA_CLIENTS}/node_modules/fhir-kit-client/dist/index.js`);

const stranger = new Client({ baseUrl: setup.fhir });
const known = await stranger.smartAuthMetadata();
assert.equal(known.authorizeUrl.href, `${setup.root}/auth/authorize`);
assert.equal(known.tokenUrl.href, `${setup.root}/auth/token`);
assert.equal((await stranger.capabilityStatement()).fhirVersion, "4.0.1");
const status = (wanted) => (error) => (assert.equal(error.response?.status, wanted, String(error)), true);
await assert.rejects(stranger.read({ resourceType: "Patient", id: "pat" }), status(401));

async function ask(form) {
  const answer = await fetch(known.tokenUrl, { method: "POST", body: new URLSearchParams(form) });
  return { status: answer.status, ...(await answer.json()) };
}

async function tokens(username, scope, pick) {
  const verifier = randomBytes(32).toString("base64url");
  const redirect = `${setup.origin}/app`;
  const url = new URL(known.authorizeUrl);
  url.search = new URLSearchParams({
    response_type: "code", client_id: "app", redirect_uri: redirect, scope, state: "s", aud: setup.fhir,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"), code_challenge_method: "S256",
  });
  const user = new User();
  await user.open(url);
  await user.signIn(username);
  if (pick) {
    assert.match(user.text, /Choose a patient/);
    await user.submit([["name", "exam"], ["birthdate", "1980-02-03"]]);
    assert.match(user.text, /value="sam"/);
    await user.submit([["patient", pick]]);
  }
  await user.allow();
  const code = new URL(user.left).searchParams.get("code");
  return ask({ grant_type: "authorization_code", code, redirect_uri: redirect, client_id: "app", code_verifier: verifier });
}

// A clinician works with records.
const granted = await tokens("ada1", "openid fhirUser launch/patient offline_access user/*.cruds patient/*.rs", "sam");
assert.equal(granted.status, 200);
assert.equal(granted.patient, "sam");
const client = new Client({ baseUrl: setup.fhir, bearerToken: granted.access_token });

const first = await client.search({ resourceType: "Observation", searchParams: { patient: "pat", _count: "10", _total: "accurate" } });
assert.equal(first.total, 24);
const seen = new Set();
let page = first;
while (page) {
  page.entry.forEach((entry) => seen.add(entry.resource.id));
  page = client.nextPage({ bundle: page }) && (await client.nextPage({ bundle: page }));
}
assert.equal(seen.size, 24);
const posted = await client.search({
  resourceType: "Observation", searchParams: { patient: "pat", _count: "100" }, options: { postSearch: true },
});
assert.equal(posted.entry.length, 24);
const inRecord = await client.search({
  resourceType: "Condition", compartment: { resourceType: "Patient", id: "pat" }, searchParams: {},
});
assert.deepEqual(inRecord.entry.map((entry) => entry.resource.id).sort(), ["asthma", "visit"]);

const weight = await client.read({ resourceType: "Observation", id: "weight-3" });
const who = await client.resolve({ reference: weight.subject.reference, context: weight });
assert.equal(who.birthDate, "1980-02-03");
const inBundle = await client.resolve({ reference: "Patient/pat", context: posted });
assert.equal(inBundle.id, "pat");

const created = await client.create({
  resourceType: "Basic", body: { resourceType: "Basic", code: { text: "a note" }, subject: { reference: "Patient/sam" } },
});
const changed = await client.update({ resourceType: "Basic", id: created.id, body: { ...created, code: { text: "another" } } });
assert.equal(changed.meta.versionId, "2");
const patched = await client.patch({
  resourceType: "Basic", id: created.id, jsonPatch: [{ op: "replace", path: "/code/text", value: "a third" }],
});
assert.equal(patched.code.text, "a third");
assert.equal((await client.vread({ resourceType: "Basic", id: created.id, version: "1" })).code.text, "a note");
assert.equal((await client.history({ resourceType: "Basic", id: created.id })).entry.length, 3);
await client.delete({ resourceType: "Basic", id: created.id });
await assert.rejects(client.read({ resourceType: "Basic", id: created.id }), status(410));

const entry = (method, url, resource) => ({ request: { method, url }, resource });
const batch = await client.batch({
  body: { resourceType: "Bundle", type: "batch", entry: [entry("GET", "Patient/sam"), entry("GET", "Patient/nobody")] },
});
assert.deepEqual(batch.entry.map((it) => it.response.status.slice(0, 3)), ["200", "404"]);
const subject = { reference: "urn:uuid:7bd93e1c-2a4c-4a5e-9a4d-0f8d2c1f5a10" };
const transaction = await client.transaction({
  body: {
    resourceType: "Bundle", type: "transaction",
    entry: [
      { fullUrl: subject.reference, ...entry("POST", "Patient", { resourceType: "Patient", name: [{ family: "New" }] }) },
      entry("POST", "Basic", { resourceType: "Basic", code: { text: "of the new one" }, subject }),
    ],
  },
});
assert.equal(transaction.type, "transaction-response");
const everything = await client.operation({ name: "$everything", resourceType: "Patient", id: "pat", method: "GET" });
assert.ok(everything.entry.length >= 20);
await assert.rejects(
  client.create({ resourceType: "Patient", body: { resourceType: "Patient", birthDate: "soon" } }), status(400),
);

// A patient reads their own record alone; a code that comes again ends what came of it.
const own = await tokens("pat1", "launch/patient offline_access patient/Observation.rs");
assert.equal(own.scope, "launch/patient offline_access patient/Observation.rs");
const patient = new Client({ baseUrl: setup.fhir, bearerToken: own.access_token });
assert.equal((await patient.search({ resourceType: "Observation", searchParams: { _count: "50" } })).entry.length, 24);
await assert.rejects(patient.read({ resourceType: "Condition", id: "asthma" }), status(403));
const renewed = await ask({ grant_type: "refresh_token", refresh_token: own.refresh_token, client_id: "app" });
assert.equal(renewed.status, 200);
const wider = await ask({
  grant_type: "refresh_token", refresh_token: renewed.refresh_token, client_id: "app", scope: "patient/*.cruds",
});
assert.deepEqual([wider.status, wider.error], [400, "invalid_scope"]);
const again = await ask({ grant_type: "refresh_token", refresh_token: own.refresh_token, client_id: "app" });
assert.deepEqual([again.status, again.error], [400, "invalid_grant"]);
await assert.rejects(patient.read({ resourceType: "Observation", id: "weight-1" }), status(401));
