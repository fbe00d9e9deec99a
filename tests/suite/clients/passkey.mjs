// Passkeys in a real browser, with an authenticator of the browser's own: added after a fresh sign-in, used as the
// second factor, refused when it is somebody else's or was removed. Codes go on working.
import { strict as assert } from "node:assert";
import { launch, look, person, signIn } from "./chromium.mjs";
import { oneTimePassword, setup } from "./user.mjs";

const browser = await launch();
const factors = `${setup.root}/auth/factors`;

/** Plugs an authenticator in. */
async function authenticator(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("WebAuthn.enable");
  const options = {
    protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
    automaticPresenceSimulation: true,
  };
  const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", { options });
  const send = (method, more) => session.send(`WebAuthn.${method}`, { authenticatorId, ...more });
  return { send, credentials: async () => (await send("getCredentials")).credentials };
}

async function password(page, username) {
  await page.getByLabel("User name").fill(username);
  await page.getByLabel("Password").fill(setup.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("Code", { exact: true }).waitFor();
}

const { context, page, errors } = await person(browser);
const key = await authenticator(page);
await page.goto(factors);
await signIn(page, "pat1");
await page.getByRole("heading", { name: "How you sign in" }).waitFor();
await page.getByText("You have none.").waitFor();
await look(page, "factors-none");
await page.getByLabel("Name of a new passkey").fill("My telephone");
await page.getByRole("button", { name: "Add a passkey" }).click();
await page.getByText("My telephone").waitFor();
await look(page, "factors");
assert.equal((await key.credentials()).length, 1);
const challenge = await page.locator("form[data-user]").getAttribute("data-challenge");

// The same one cannot be added twice.
await page.getByLabel("Name of a new passkey").fill("Again");
await page.getByRole("button", { name: "Add a passkey" }).click();
await page.getByRole("alert").filter({ hasText: "No passkey was used" }).waitFor();

// An answer that nobody asked for, or to a question that was answered, adds nothing.
const csrf = await page.locator('input[name="csrf"]').first().inputValue();
for (const answer of ["{}", "nonsense", JSON.stringify({
  id: "AAAAAAAAAAAAAAAAAAAAAA", algorithm: -7, publicKey: "AAAA", authenticatorData: "AAAA",
  clientData: Buffer.from(JSON.stringify({ type: "webauthn.create", challenge, origin: setup.root })).toString("base64url"),
})]) {
  const cookie = (await context.cookies()).map((it) => `${it.name}=${it.value}`).join("; ");
  const body = new URLSearchParams({ csrf, passkey: answer, name: "evil" });
  const text = await (await fetch(factors, { method: "POST", headers: { cookie }, body })).text();
  assert.match(text, /could not be added/);
  assert.doesNotMatch(text, /evil/);
}

// It is a second factor, again and again.
for (let round = 0; round < 2; round += 1) {
  await context.clearCookies();
  await page.goto(factors);
  await password(page, "pat1");
  if (round === 0) await look(page, "second-factor-passkey");
  await page.getByRole("button", { name: "Use a passkey" }).click();
  await page.getByRole("heading", { name: "How you sign in" }).waitFor();
}
// So is a code, and it is asked for again after five minutes or for another user.
await context.clearCookies();
await page.goto(factors);
await password(page, "pat2");
assert.equal(await page.getByRole("button", { name: "Use a passkey" }).count(), 0, "pat2 has none");
await page.getByLabel("Code", { exact: true }).fill(oneTimePassword());
await page.keyboard.press("Enter");
await page.getByText("You have none.").waitFor();

// Another user's passkey does not open this account: the browser may sign, but the server knows better.
await page.getByLabel("Name of a new passkey").fill("Of pat2");
await page.getByRole("button", { name: "Add a passkey" }).click();
await page.getByText("Of pat2").waitFor();
await context.clearCookies();
await page.goto(factors);
await password(page, "pat1");
const own = await page.locator("form[data-challenge]").getAttribute("data-passkeys");
const named = (it) => Buffer.from(it.credentialId, "base64").toString("base64url");
const other = (await key.credentials()).map(named).find((it) => it !== own);
await page.evaluate((id) => (document.querySelector("form[data-challenge]").dataset.passkeys = id), other);
await page.getByRole("button", { name: "Use a passkey" }).click();
await page.getByText("this passkey is not good here").waitFor();

// A copy that has counted less is refused.
const first = (await key.credentials()).find((it) => named(it) === own);
await key.send("removeCredential", { credentialId: first.credentialId });
await key.send("addCredential", { credential: { ...first, signCount: 0 } });
await page.getByRole("button", { name: "Use a passkey" }).click();
await page.getByText("this passkey is not good here").waitFor();
await page.getByLabel("Code", { exact: true }).fill(oneTimePassword(1));
await page.keyboard.press("Enter");

// Removed, it is asked for no more; new recovery codes are shown once.
await page.getByRole("button", { name: "Remove My telephone" }).click();
await page.getByText("You have none.").waitFor();
await page.getByRole("button", { name: "New recovery codes" }).click();
await page.getByRole("heading", { name: "Keep your recovery codes" }).waitFor();
await look(page, "recovery-codes");
const code = await page.locator("ol.codes li").first().textContent();
await page.getByRole("button", { name: "I have kept them" }).click();
await page.getByText("8 have not been used").waitFor();
await context.clearCookies();
await page.goto(factors);
await password(page, "pat1");
assert.equal(await page.getByRole("button", { name: "Use a passkey" }).count(), 0);
await page.getByLabel("Code", { exact: true }).fill(code);
await page.keyboard.press("Enter");
await page.getByText("7 have not been used").waitFor();
assert.deepEqual(errors, []);
await browser.close();
