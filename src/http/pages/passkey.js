// Passkeys: the only script of these pages, and only where one may be used. Without it codes are entered.
// https://www.w3.org/TR/webauthn-3/
"use strict";

const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const known = (form) =>
  form.dataset.passkeys.split(" ").filter(Boolean).map((id) => ({ type: "public-key", id: bytes(id) }));

async function create(form) {
  const { challenge, party, user, username } = form.dataset;
  const credential = await navigator.credentials.create({
    publicKey: {
      challenge: bytes(challenge),
      rp: { id: party, name: "Vesta" },
      user: { id: new TextEncoder().encode(user), name: username, displayName: username },
      pubKeyCredParams: [-7, -257].map((alg) => ({ type: "public-key", alg })),
      excludeCredentials: known(form),
      authenticatorSelection: { residentKey: "preferred", userVerification: "preferred" },
      attestation: "none",
    },
  });
  const { response } = credential;
  return {
    id: text(credential.rawId),
    clientData: text(response.clientDataJSON),
    authenticatorData: text(response.getAuthenticatorData()),
    publicKey: text(response.getPublicKey()),
    algorithm: response.getPublicKeyAlgorithm(),
  };
}

async function get(form) {
  const { challenge, party } = form.dataset;
  const credential = await navigator.credentials.get({
    publicKey: {
      challenge: bytes(challenge),
      rpId: party,
      allowCredentials: known(form),
      userVerification: "preferred",
    },
  });
  const { response } = credential;
  return {
    id: text(credential.rawId),
    clientData: text(response.clientDataJSON),
    authenticatorData: text(response.authenticatorData),
    signature: text(response.signature),
  };
}

for (const form of document.querySelectorAll("form[data-challenge]")) {
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const trouble = form.querySelector("[role=alert]");
    trouble.hidden = true;
    try {
      const answer = await (form.dataset.user ? create(form) : get(form));
      form.elements.passkey.value = JSON.stringify(answer);
      form.submit();
    } catch {
      trouble.hidden = false;
    }
  });
}
