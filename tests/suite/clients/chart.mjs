// Our own app, smart-apps/patient-chart, in a real browser: launched by itself and from an EHR, with everything that a
// user may do on the way, and what must not work.
import { strict as assert } from "node:assert";
import { fileURLToPath } from "node:url";
import { launch, look, person, serve, signIn } from "./chromium.mjs";
import { oneTimePassword, setup } from "./user.mjs";

const server = await serve(fileURLToPath(new URL("../../../smart-apps/patient-chart", import.meta.url)));
const browser = await launch();
const stored = (page) => page.evaluate(() => JSON.parse(sessionStorage.getItem("session")));
const read = (token, path) => fetch(`${setup.fhir}/${path}`, { headers: { authorization: `Bearer ${token}` } });

async function begin(page) {
  await page.goto(`${setup.origin}/`);
  await page.getByLabel("FHIR server").fill(setup.fhir);
  await look(page, "app-start");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
}

async function standalone() {
  const { context, page, errors } = await person(browser);
  await begin(page);
  await look(page, "sign-in");
  await page.getByLabel("User name").fill("ada1");
  await page.getByLabel("Password").fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor();
  assert.match(await page.getByRole("alert").textContent(), /the user name or the password is wrong/);
  await look(page, "sign-in-wrong");
  await page.getByLabel("User name").fill("ada1");
  await page.getByLabel("Password").fill(setup.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("Code", { exact: true }).waitFor();
  await look(page, "second-factor");
  await page.getByLabel("Code", { exact: true }).fill(oneTimePassword());
  await page.keyboard.press("Enter");

  await page.getByRole("heading", { name: "Choose a patient" }).waitFor();
  await look(page, "patient-picker");
  await page.getByLabel("Name").fill("exam");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByLabel(/pat Example/).waitFor();
  await look(page, "patient-picker-found");
  await page.getByLabel(/pat Example/).check();
  await page.getByRole("button", { name: "Choose" }).click();

  // Medications are not granted at all; of conditions only the problem list.
  await page.getByRole("heading", { name: /Let Chart in/ }).waitFor();
  await look(page, "consent");
  await page.locator('input[value="patient/MedicationRequest.rs"]').uncheck();
  await page.locator('input[value="patient/Condition.rs"]').uncheck();
  await page.getByText("Only a part of this").last().click();
  await page.locator('input[value^="patient/Condition.rs?"][value$="|problem-list-item"]').check();
  await page.getByRole("button", { name: "Allow" }).click();

  await page.getByRole("heading", { name: "pat Example" }).waitFor();
  assert.equal(new URL(page.url()).search, "", "the code is gone from the address");
  await page.getByText("Asthma").waitFor();
  assert.match(await page.getByRole("region", { name: "Medications" }).textContent(), /not shared/);
  assert.equal(await page.getByLabel("Measurement").inputValue(), "Body weight");
  assert.equal(await page.locator("circle.point").count(), 24);
  await look(page, "app-chart");
  const first = await stored(page);
  assert.match(first.token.scope, /Condition\.rs\?category=/);
  assert.equal((await read(first.token.access_token, "Condition/visit")).status, 404);
  assert.equal((await read(first.token.access_token, "MedicationRequest?patient=pat")).status, 403);

  // The access token ends: the app renews it, once, and goes on.
  let renewals = 0;
  page.on("request", (request) => (renewals += request.url().endsWith("/auth/token") ? 1 : 0));
  await page.evaluate(() => {
    const session = JSON.parse(sessionStorage.getItem("session"));
    session.token.access_token = "over";
    sessionStorage.setItem("session", JSON.stringify(session));
  });
  await page.reload();
  await page.getByText("Asthma").waitFor();
  assert.equal(renewals, 1);
  const second = await stored(page);
  assert.notEqual(second.token.refresh_token, first.token.refresh_token);

  // Out: of the app, whose tokens are dead, and of the server, which asks again.
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  assert.equal(await stored(page), null);
  assert.equal((await read(second.token.access_token, "Patient/pat")).status, 401);
  await begin(page);
  assert.deepEqual(errors, []);
  await context.close();
}

async function ehrLaunch() {
  const open = async (user, patient) => {
    const headers = { authorization: `Basic ${Buffer.from(`ehr:${setup.secret}`).toString("base64")}` };
    const body = new URLSearchParams({ client: "demo-app", user, patient });
    const answer = await fetch(`${setup.root}/auth/launch`, { method: "POST", headers, body });
    assert.equal(answer.status, 200);
    return (await answer.json()).launch_url;
  };
  const { context, page, errors } = await person(browser);
  await page.goto(await open("ada2", "sam"));
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await signIn(page, "ada2");
  await page.getByText("sam Example").waitFor();
  await page.getByRole("button", { name: "Allow" }).click();
  await page.getByRole("heading", { name: "sam Example" }).waitFor();
  assert.match(await page.getByRole("region", { name: "Problems" }).textContent(), /Nothing is recorded/);

  // The user's apps, and this one's access taken back: it cannot go on.
  const session = await stored(page);
  const mine = await context.newPage();
  await mine.goto(`${setup.root}/auth/manage`);
  await mine.getByText("Chart").first().waitFor();
  await look(mine, "your-apps");
  await mine.getByRole("button", { name: "Take back" }).click();
  await mine.getByText("You have let no app in").waitFor();
  assert.equal((await read(session.token.access_token, "Patient/sam")).status, 401);
  await page.reload();
  await page.getByRole("status").filter({ hasText: /revoked|sign in/i }).waitFor();
  await look(page, "app-refused");
  await mine.goto(`${setup.root}/auth/logout`);
  await look(mine, "log-out");
  await mine.getByRole("button", { name: "Log out" }).click();
  await mine.getByRole("heading", { name: "You are logged out" }).waitFor();
  await look(mine, "logged-out");

  // A launch is good once.
  const launched = await open("ada2", "sam");
  await page.goto(launched);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.goto(launched);
  await page.getByText(/this launch is unknown, used or over/).waitFor();
  assert.deepEqual(errors, []);
  await context.close();
}

async function denials() {
  const { context, page, errors } = await person(browser);
  await begin(page);
  await signIn(page, "pat1");
  await page.getByRole("button", { name: "Deny" }).click();
  await page.getByText("the user said no").waitFor();
  assert.equal(await stored(page), null);
  await look(page, "app-denied");
  // Signed in still, the patient is asked again, and grants nothing that the chart can be drawn from.
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator('input[value="patient/Patient.rs"]').uncheck();
  await page.getByRole("button", { name: "Allow" }).click();
  await page.getByRole("heading", { name: "Patient chart" }).first().waitFor();
  await page.getByText(/not shared/).first().waitFor();
  // Cancelled before anybody signed in.
  const other = await person(browser);
  await begin(other.page);
  await other.page.getByRole("button", { name: "Cancel" }).click();
  await other.page.getByText("the user went back").waitFor();
  // What is wrong with the app is shown on our own page.
  await other.page.goto(`${setup.root}/auth/authorize?client_id=nobody`);
  await look(other.page, "error");
  assert.match(await other.page.textContent("main"), /there is no app of this client_id here/);
  assert.deepEqual([...errors, ...other.errors], []);
  await other.context.close();
  await context.close();
}

async function withoutScripts() {
  const { context, page } = await person(browser, { javaScriptEnabled: false });
  const parameters = new URLSearchParams({
    response_type: "code", client_id: "demo-app", redirect_uri: `${setup.origin}/`, scope: "launch/patient patient/*.rs",
    aud: setup.fhir, code_challenge: "a".repeat(43), code_challenge_method: "S256",
  });
  await page.goto(`${setup.root}/auth/authorize?${parameters}`);
  await signIn(page, "pat2");
  await page.getByRole("button", { name: "Allow" }).click();
  await page.waitForURL(/[?&]code=/);
  await context.close();
}

try {
  await Promise.all([standalone(), ehrLaunch(), denials(), withoutScripts()]);
} finally {
  await browser.close();
  server.close();
}
