// npm fhirclient, as an app on a server of its own: standalone and EHR launch, three kinds of clients, refresh,
// paging, references, and what must not work.
import { strict as assert } from "node:assert";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { setup, User } from "./user.mjs";

const smart = createRequire(`${process.env.VESTA_CLIENTS}/`)("fhirclient");

const scope = "openid fhirUser launch/patient offline_access patient/*.rs";
const clients = {
  app: { clientId: "app" },
  web: { clientId: "web", clientSecret: setup.secret },
  signed: { clientId: "signed", clientPrivateJwk: setup.key },
};

/** The app: `/launch` goes to the authorization server, `/app` is where the code comes to. */
class App {
  stored = new Map();
  storage = {
    get: async (key) => this.stored.get(key),
    set: async (key, value) => (this.stored.set(key, value), value),
    unset: async (key) => this.stored.delete(key),
  };
  async listen() {
    this.server = createServer((request, response) => {
      this.answer(request, response).catch((error) => {
        this.error = error;
        response.writeHead(500).end(String(error));
      });
    });
    await new Promise((done) => this.server.listen(new URL(setup.origin).port, "localhost", done));
  }

  async answer(request, response) {
    const api = smart(request, response, this.storage);
    if (request.url.startsWith("/launch")) return api.authorize(this.options);
    this.client = await api.ready();
    response.end("ready");
  }

  /** Launches as one of the clients, and gives the user who is asked to sign in. */
  async launch(name, options = {}, query = "") {
    this.client = this.error = undefined;
    this.stored.clear();
    const known = { scope, iss: setup.fhir, redirectUri: `${setup.origin}/app`, pkceMode: "required" };
    this.options = { ...known, ...clients[name], ...options };
    const user = new User();
    await user.open(`${setup.origin}/launch${query}`);
    return user;
  }
}

const status = (wanted) => (error) => (assert.equal(error.statusCode ?? error.status, wanted, String(error)), true);

async function standalone(app) {
  for (const [name, username] of [["app", "pat1"], ["web", "pat2"], ["signed", "pat3"]]) {
    const user = await app.launch(name);
    assert.match(user.text, /To go on to <strong>Chart/);
    await user.signIn(username);
    await user.allow();
    assert.equal(user.text, "ready", String(app.error));
    const client = app.client;
    assert.equal(client.patient.id, "pat");
    assert.equal(client.user.fhirUser, "Patient/pat");
    assert.equal((await client.user.read()).id, "pat");
    assert.equal((await client.patient.read()).name[0].family, "Example");

    // Every page of a search, with what it refers to.
    const all = { pageLimit: 0, flat: true };
    const weights = await client.request("Observation?patient=pat&category=vital-signs&_sort=date&_count=5", all);
    assert.equal(weights.length, 24);
    assert.equal(new Set(weights.map((it) => it.id)).size, 24);
    assert.deepEqual(weights[0].valueQuantity.value, 60.5);
    const one = await client.request("Observation/weight-7", { resolveReferences: ["subject"] });
    assert.equal(one.subject.birthDate, "1980-02-03");

    await assert.rejects(client.request("Patient/sam"), status(404));
    await assert.rejects(client.create({ resourceType: "Basic", code: { text: "x" } }), status(403));

    // Tokens are renewed, and the old refresh token ends everything when it comes again. With a key of its own
    // this client signs in, but does not sign when it refreshes: that is refused.
    const before = client.state.tokenResponse.refresh_token;
    const old = client.state.tokenResponse.access_token;
    if (name === "signed") {
      await assert.rejects(client.refresh(), /client authentication failed/);
      continue;
    }
    await client.refresh();
    assert.notEqual(client.state.tokenResponse.access_token, old);
    assert.notEqual(client.state.tokenResponse.refresh_token, before);
    assert.equal((await client.request("Patient/pat")).id, "pat");
    client.state.expiresAt = 1;
    assert.equal((await client.request("Patient/pat")).id, "pat");
    client.state.tokenResponse.refresh_token = before;
    await assert.rejects(client.refresh(), /used before/);
    client.state.tokenResponse.refresh_token = undefined;
    await assert.rejects(client.request("Patient/pat"), status(401));
  }
}

async function unticked(app) {
  const user = await app.launch("app", { scope: "launch/patient patient/Patient.rs patient/Observation.rs" });
  await user.signIn("pat4");
  await user.allow(["launch/patient", "patient/Patient.rs"]);
  assert.equal((await app.client.patient.read()).id, "pat");
  await assert.rejects(app.client.request("Observation?patient=pat"), status(403));
}

async function ehrLaunch(app) {
  const credentials = Buffer.from(`ehr:${setup.secret}`).toString("base64");
  const launch = async (username) => {
    const body = new URLSearchParams({ client: "app", user: username, patient: "sam" });
    const headers = { authorization: `Basic ${credentials}` };
    const answer = await fetch(`${setup.root}/auth/launch`, { method: "POST", headers, body });
    assert.equal(answer.status, 200);
    const url = new URL((await answer.json()).launch_url);
    assert.equal(url.origin, setup.origin);
    return url.search;
  };
  const options = { scope: "launch openid fhirUser patient/*.rs", iss: undefined };
  const user = await app.launch("app", options, await launch("ada1"));
  await user.signIn("ada1");
  assert.match(user.text, /sam Example/);
  await user.allow();
  assert.equal(app.client.patient.id, "sam");
  assert.equal((await app.client.patient.read()).gender, "male");
  assert.equal(app.client.user.resourceType, "Practitioner");

  // Nobody else may go on with it, and a name that nobody gave opens nothing.
  const other = await app.launch("app", options, await launch("ada2"));
  await other.submit([["username", "ada3"], ["password", setup.password]]);
  assert.match(other.text, /the app was opened by another user/);
  await app.launch("app", options, `?iss=${encodeURIComponent(setup.fhir)}&launch=made-up`);
  assert.match(String(app.error), /launch/);
}

async function refusals(app) {
  const mistaken = await app.launch("app");
  await mistaken.submit([["username", "pat5"], ["password", "wrong"]]);
  assert.equal(mistaken.status, 401);
  assert.match(mistaken.text, /the user name or the password is wrong/);
  const denied = await app.launch("app");
  await denied.signIn("pat5");
  await denied.deny();
  assert.match(String(app.error), /the user said no/);

  // What is wrong with the client or the address is shown, and sent nowhere.
  for (const options of [{ clientId: "nobody" }, { redirectUri: `${setup.origin}/elsewhere` }]) {
    const stranger = await app.launch("app", options);
    assert.equal(stranger.status, 400);
    assert.equal(new URL(stranger.address).origin, setup.root);
  }
  // A wrong secret costs the code.
  const guess = await app.launch("web", { clientSecret: "another-secret-altogether" });
  await guess.signIn("pat6");
  await guess.allow();
  assert.match(String(app.error), /client authentication failed|invalid_client/);
}

const app = new App();
await app.listen();
await standalone(app);
await unticked(app);
await ehrLaunch(app);
await refusals(app);
app.server.close();
process.exit(0);
