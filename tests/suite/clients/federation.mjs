// Signing in through a provider of identities upstream: npm oidc-provider, which knows everybody that it is told to.
import { strict as assert } from "node:assert";
import { createServer } from "node:http";
import { launch, look, person } from "./chromium.mjs";
import { oneTimePassword, setup } from "./user.mjs";

const { default: Provider } = await import(`${process.env.VESTA_CLIENTS}/node_modules/oidc-provider/lib/index.js`);

/** Who is signed in upstream, and what the provider says of it. */
const upstream = { subject: "nobody", amr: ["pwd"], deny: false, change: null };

const provider = new Provider(setup.provider, {
  clients: [{
    client_id: "vesta", client_secret: setup.secret, redirect_uris: [`${setup.root}/auth/federation`],
    grant_types: ["authorization_code"], response_types: ["code"],
  }],
  pkce: { required: () => true },
  claims: { openid: ["sub", "amr"] },
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  cookies: { keys: ["a key of this test"] },
  renderError: (ctx, out, error) => (console.error("upstream:", out, error), (ctx.body = JSON.stringify(out))),
});
const callback = provider.callback();
const server = createServer(async (request, response) => {
  if (request.url === "/kept") return response.writeHead(200, { "content-type": "text/html" }).end("<title>kept</title>kept");
  const set = response.setHeader.bind(response);
  response.setHeader = (name, value) => {
    const isAnswer = name.toLowerCase() === "location" && String(value).startsWith(`${setup.root}/auth/federation`);
    return set(name, isAnswer && upstream.change ? upstream.change(String(value)) : value);
  };
  if (!request.url.startsWith("/interaction/")) return callback(request, response);
  const details = await provider.interactionDetails(request, response);
  const finish = (result) => provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
  if (upstream.deny) return finish({ error: "access_denied", error_description: "not today" });
  if (details.prompt.name === "login") return finish({ login: { accountId: upstream.subject, amr: upstream.amr, remember: false } });
  const grant = new provider.Grant({ accountId: details.session.accountId, clientId: details.params.client_id });
  grant.addOIDCScope("openid");
  return finish({ consent: { grantId: await grant.save() } });
});
await new Promise((done) => server.listen(new URL(setup.provider).port, "localhost", done));
provider.on("server_error", (_, error) => console.error("upstream:", error));

const browser = await launch();
const factors = `${setup.root}/auth/factors`;
const heading = (page, name) => page.getByRole("heading", { name }).waitFor();
const through = (page) => page.getByRole("link", { name: "Sign in with Example Hospital" }).click();
const second = async (page) => {
  await page.getByLabel("Code", { exact: true }).fill(oneTimePassword());
  await page.keyboard.press("Enter");
};

// Somebody whom the operator has linked: the provider stands for the password, not for our second factor.
upstream.subject = "upstream-pat1";
const { page, context, errors } = await person(browser);
await page.goto(factors);
await look(page, "sign-in-federated");
await through(page);
await heading(page, "Second factor");
assert.equal(await page.getByLabel("Password").count(), 0);
await page.goto(`${setup.root}/auth/manage`);
await heading(page, "Second factor");
await second(page);
await heading(page, "Your apps");
await page.goto(factors);
await page.getByText("Example Hospital").waitFor();

// Somebody new: nobody is found by a name, so they sign in here once, and then never again.
upstream.subject = "upstream-pat2";
const fresh = await person(browser);
await fresh.page.goto(factors);
await through(fresh.page);
await fresh.page.getByText("Example Hospital knows you, and we do not yet").waitFor();
await fresh.page.getByLabel("User name").fill("pat2");
await fresh.page.getByLabel("Password").fill(setup.password);
await fresh.page.getByRole("button", { name: "Sign in", exact: true }).click();
await second(fresh.page);
await fresh.page.getByText("Example Hospital").waitFor();
await look(fresh.page, "factors-linked");
// Unlinked, they are new again.
await fresh.page.getByRole("button", { name: "Unlink Example Hospital" }).click();
await heading(fresh.page, "How you sign in");
await fresh.context.clearCookies();
await fresh.page.goto(factors);
await through(fresh.page);
await fresh.page.getByText("we do not yet").waitFor();

// A second factor upstream counts where the provider is registered so, and only when it says so.
upstream.subject = "upstream-pat3";
upstream.amr = ["pwd", "mfa"];
const trusted = await person(browser);
await trusted.page.goto(factors);
await trusted.page.getByRole("link", { name: "Sign in with Trusted Clinic" }).click();
await heading(trusted.page, "How you sign in");
upstream.amr = ["pwd"];
await trusted.context.clearCookies();
await trusted.page.goto(factors);
await trusted.page.getByRole("link", { name: "Sign in with Trusted Clinic" }).click();
await heading(trusted.page, "Second factor");

// Denied there, forged, replayed or by another browser: nobody comes in.
upstream.deny = true;
const denied = await person(browser);
await denied.page.goto(factors);
await through(denied.page);
await denied.page.getByText("Example Hospital did not let you in").waitFor();
upstream.deny = false;
await denied.page.goto(`${setup.root}/auth/federation?code=made-up&state=made-up`);
await denied.page.getByText("this sign-in is over").waitFor();
await denied.page.goto(factors);
let answered;
upstream.change = (url) => ((answered = url), `${setup.provider}/kept`);
await through(denied.page);
await denied.page.getByText("kept").waitFor();
// The robbed browser's answer in another browser, and then it is used up for the right one, too.
const thief = await person(browser);
await thief.page.goto(answered);
await thief.page.getByText("this sign-in is over").waitFor();
await denied.page.goto(answered);
await denied.page.getByText("this sign-in is over").waitFor();
// A code that is made up, for a state that is good.
await denied.page.goto(factors);
upstream.change = (answer) => {
  const url = new URL(answer);
  url.searchParams.set("code", "made-up");
  return url.href;
};
await through(denied.page);
await denied.page.getByText("Example Hospital did not let you in").waitFor();

assert.deepEqual([...errors, ...fresh.errors, ...trusted.errors], []);
await context.close();
await browser.close();
server.close();
process.exit(0);
