// SMART App Launch 2.2 for a public client: discovery, authorization code with PKCE, refresh, sign out.
// https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html

const CLIENT = "demo-app";
const SCOPE = [
  "openid fhirUser offline_access launch/patient patient/Patient.rs patient/Observation.rs",
  "patient/Condition.rs patient/MedicationRequest.rs",
].join(" ");
const redirect = () => new URL("./", location.href).href.split(/[?#]/)[0];

/** The server let the app in, but not to this: what the user did not grant. */
export class NotShared extends Error {}

const base64url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function discover(iss) {
  const answer = await fetch(`${iss.replace(/\/$/, "")}/.well-known/smart-configuration`);
  if (!answer.ok) throw new Error("This server has no SMART configuration.");
  return answer.json();
}

/** Sends the browser to the authorization server. `launch` is what an EHR gave, if one opened the app. */
export async function authorize(iss, launch) {
  if (!iss) throw new Error("No FHIR server was named.");
  const configuration = await discover(iss);
  const verifier = random();
  const state = random();
  sessionStorage.clear();
  sessionStorage.setItem("iss", iss);
  sessionStorage.setItem(state, JSON.stringify({ iss, verifier, configuration }));
  const challenge = base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)));
  const url = new URL(configuration.authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: CLIENT,
    redirect_uri: redirect(),
    scope: launch ? SCOPE.replace("launch/patient", "launch") : SCOPE,
    state,
    aud: iss,
    code_challenge: challenge,
    code_challenge_method: "S256",
    ...(launch ? { launch } : {}),
  });
  location.assign(url);
}

async function exchange(session, grant) {
  const answer = await fetch(session.configuration.token_endpoint, {
    method: "POST",
    body: new URLSearchParams({ client_id: CLIENT, ...grant }),
  });
  const token = await answer.json();
  if (!answer.ok) {
    sessionStorage.removeItem("session");
    throw new Error(`Sign in again: ${token.error_description ?? token.error ?? "the server refused"}.`);
  }
  session.token = { ...session.token, ...token };
  sessionStorage.setItem("session", JSON.stringify(session));
  return session;
}

/** The session that this page load belongs to: one that begins with a code, or one that goes on. */
export async function ready() {
  const parameters = new URLSearchParams(location.search);
  history.replaceState(null, "", redirect());
  if (parameters.has("error")) throw new Error(parameters.get("error_description") ?? parameters.get("error"));
  if (!parameters.has("code")) return JSON.parse(sessionStorage.getItem("session"));
  const kept = sessionStorage.getItem(parameters.get("state"));
  sessionStorage.removeItem(parameters.get("state"));
  if (!kept) throw new Error("This answer belongs to no sign-in of this page.");
  const session = JSON.parse(kept);
  // RFC 9207: a code of another server is not for this one.
  const issuer = parameters.get("iss");
  if (issuer && issuer !== session.configuration.issuer) throw new Error("Another server answered.");
  return exchange(session, {
    grant_type: "authorization_code",
    code: parameters.get("code"),
    redirect_uri: redirect(),
    code_verifier: session.verifier,
  });
}

/** A refresh token is good once: whoever needs a new access token meanwhile waits for the same answer. */
function refresh(session) {
  const grant = { grant_type: "refresh_token", refresh_token: session.token.refresh_token };
  session.refreshing ??= exchange({ ...session, refreshing: undefined }, grant).then((it) => (session.token = it.token));
  return session.refreshing.finally(() => (session.refreshing = undefined));
}

/** Reads a resource or search; refreshes the access token once, when it has ended. */
export async function read(session, path) {
  const url = path.startsWith("http") ? path : `${session.iss.replace(/\/$/, "")}/${path}`;
  const ask = () => fetch(url, { headers: { authorization: `Bearer ${session.token.access_token}` } });
  let answer = await ask();
  if (answer.status === 401 && session.token.refresh_token) {
    await refresh(session);
    answer = await ask();
  }
  if (answer.status === 401) {
    sessionStorage.removeItem("session");
    throw new Error("Sign in again: the server knows this session no more.");
  }
  if (answer.status === 403) throw new NotShared(path);
  if (!answer.ok) throw new Error(`The server answered ${answer.status} to ${path.split("?")[0]}.`);
  return answer.json();
}

/** Every match of a search, page by page. */
export async function all(session, path) {
  const found = [];
  let next = path;
  while (next && found.length < 2000) {
    const bundle = await read(session, next);
    found.push(...(bundle.entry ?? []).filter((it) => it.search?.mode === "match").map((it) => it.resource));
    next = bundle.link?.find((it) => it.relation === "next")?.url;
  }
  return found;
}

/** Gives the tokens back, and logs out at the server where that is known to be this user's session. */
export async function leave(session) {
  sessionStorage.clear();
  const token = session.token.refresh_token ?? session.token.access_token;
  await fetch(session.configuration.revocation_endpoint, {
    method: "POST",
    body: new URLSearchParams({ client_id: CLIENT, token }),
  });
  const end = session.configuration.end_session_endpoint;
  if (!end || !session.token.id_token) return location.replace(redirect());
  const url = new URL(end);
  url.search = new URLSearchParams({ id_token_hint: session.token.id_token, post_logout_redirect_uri: redirect() });
  location.replace(url);
}
