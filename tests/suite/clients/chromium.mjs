// Chromium without a window, driven by playwright-core: pages that must be readable for everybody, and a folder of
// pictures of them where VESTA_SCREENSHOTS names one.
import { strict as assert } from "node:assert";
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, normalize } from "node:path";
import { oneTimePassword, setup } from "./user.mjs";

const require = createRequire(`${process.env.VESTA_CLIENTS}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const sizes = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json" };

/** Serves the files of a folder at the app's origin. */
export async function serve(folder) {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, setup.origin).pathname);
    const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
    try {
      const type = types[extname(file)] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type }).end(readFileSync(file));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(new URL(setup.origin).port, "localhost", done));
  return server;
}

/** A browser that trusts the server's certificate as it would one of a known authority. */
export async function launch() {
  const certificate = new X509Certificate(readFileSync(setup.certificate));
  const key = certificate.publicKey.export({ type: "spki", format: "der" });
  const trusted = createHash("sha256").update(key).digest("base64");
  return chromium.launch({
    executablePath: process.env.VESTA_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", `--ignore-certificate-errors-spki-list=${trusted}`],
  });
}

/** A person with a browser profile of their own. Anything that goes wrong on a page fails the test. */
export async function person(browser, options = {}) {
  const context = await browser.newContext({ viewport: sizes.desktop, locale: "en-US", ...options });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(`${page.url()}: ${error}`));
  page.on("console", (message) => {
    // What a page blocks by its policy is told here, and must never happen.
    if (message.type() === "error" && /Content Security Policy/.test(message.text())) errors.push(message.text());
  });
  return { context, page, errors };
}

/** Looks at a page in both sizes: nothing sticks out, and axe finds nothing that keeps anybody from reading it. */
export async function look(page, name) {
  for (const [size, viewport] of Object.entries(sizes)) {
    await page.setViewportSize(viewport);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= viewport.width, `${name} is ${width} wide on a ${size}`);
    if (process.env.VESTA_SCREENSHOTS) {
      await page.screenshot({ path: join(process.env.VESTA_SCREENSHOTS, `${name}-${size}.png`), fullPage: true });
    }
  }
  await page.setViewportSize(sizes.desktop);
  const found = await page.evaluate(async (source) => {
    if (!globalThis.axe) (0, eval)(source);
    const result = await globalThis.axe.run(document);
    if (result.passes.length < 5) return ["axe saw nothing"];
    return result.violations.map((it) => `${it.id}: ${it.nodes.map((node) => node.html).join(" ")}`);
  }, axe).catch(async (error) => {
    // The policy of our own pages forbids eval; the debugger may do it all the same.
    if (!/unsafe-eval/.test(String(error))) throw error;
    const session = await page.context().newCDPSession(page);
    await session.send("Runtime.evaluate", { expression: axe });
    const run = "axe.run(document).then((it) => JSON.stringify(it.violations.map((it) => `${it.id}: ${it.nodes.map((node) => node.html).join(' ')}`)))";
    const answer = await session.send("Runtime.evaluate", { expression: run, awaitPromise: true });
    return JSON.parse(answer.result.value);
  });
  assert.deepEqual(found, [], name);
}

/** Signs in on the page that is shown, with the second factor. */
export async function signIn(page, username) {
  await page.getByLabel("User name").fill(username);
  await page.getByLabel("Password").fill(setup.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("Code", { exact: true }).fill(oneTimePassword());
  await page.keyboard.press("Enter");
}
