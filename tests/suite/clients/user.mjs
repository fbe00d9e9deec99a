// Somebody at a browser without scripts: follows redirections, keeps the cookie, fills forms in.
import { strict as assert } from "node:assert";
import { createHmac } from "node:crypto";

export const setup = JSON.parse(process.env.VESTA_SETUP);

/**
 * The code that an authenticator app shows now (RFC 6238), or whose clock is ahead by so many steps of 30 seconds: no
 * code is taken twice, and whoever signs in again at once has none but the next.
 */
export function oneTimePassword(ahead = 0, secret = setup.totp) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((octet) => parseInt(octet, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
  const mac = createHmac("sha1", key).update(counter).digest();
  const number = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

const decoded = (text) => text.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code)).replace(/&amp;/g, "&");

export class User {
  cookies = new Map();
  /** Where the browser was sent when it left the server: nothing may listen there. */
  left = undefined;

  /** Opens an address, and goes on until there is a page, or the browser is back at the app. */
  async open(address, options = {}) {
    let next = new URL(address);
    while (next.href.startsWith(setup.root) || options.method) {
      const cookie = [...this.cookies].map((pair) => pair.join("=")).join("; ");
      const answer = await fetch(next, { redirect: "manual", ...options, headers: { ...options.headers, cookie } });
      for (const line of answer.headers.getSetCookie()) {
        const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
        assert.match(line, /HttpOnly/);
        assert.match(line, /Secure/);
        this.cookies.set(name, value);
      }
      options = {};
      this.status = answer.status;
      this.text = await answer.text();
      if (!answer.headers.has("location")) return (this.address = next.href);
      next = new URL(answer.headers.get("location"), next);
    }
    // Back at the app, which may lead on.
    this.left = this.address = next.href;
    const answer = await fetch(next, { redirect: "manual" }).catch(() => null);
    if (!answer) return this.left;
    this.status = answer.status;
    this.text = await answer.text();
    if (answer.headers.has("location")) return this.open(new URL(answer.headers.get("location"), next));
    return this.address;
  }

  hidden(name) {
    const found = this.text.match(new RegExp(`name="${name}" value="([^"]*)"`));
    assert.ok(found, `no field ${name} in ${this.status} ${this.text}`);
    return decoded(found[1]);
  }

  /** The scopes that are ticked on the page. */
  ticked() {
    return [...this.text.matchAll(/name="scope"[^>]*value="([^"]*)" checked/g)].map((found) => decoded(found[1]));
  }

  async submit(fields) {
    const body = new URLSearchParams();
    for (const name of ["csrf", "flow", "step"]) body.append(name, this.hidden(name));
    for (const [name, value] of fields) body.append(name, value);
    return this.open(`${setup.root}/auth/flow`, { method: "POST", body });
  }

  async signIn(username) {
    await this.submit([["username", username], ["password", setup.password]]);
    await this.submit([["otp", oneTimePassword()]]);
  }

  /** Allows these scopes: what is ticked, if nothing is said. */
  async allow(scopes = this.ticked()) {
    return this.submit([["decision", "allow"], ...scopes.map((scope) => ["scope", scope])]);
  }

  async deny() {
    return this.submit([["decision", "deny"]]);
  }
}
