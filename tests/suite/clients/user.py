"""Somebody at a browser without scripts: follows redirections, keeps the cookie, fills forms in."""

import base64
import hashlib
import hmac
import html
import json
import os
import re
import struct
import time

import requests

setup = json.loads(os.environ["VESTA_SETUP"])


def one_time_password():
    """The code that an authenticator app shows now (RFC 6238)."""
    key = base64.b32decode(setup["totp"])
    mac = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    number = struct.unpack(">I", mac[mac[19] & 15 :][:4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


class User:
    def __init__(self):
        self.session = requests.Session()
        self.left = None

    def open(self, url, form=None):
        """Goes on until there is a page, or the browser is sent back to the app: that address is `left`."""
        answer = self.session.request("POST" if form else "GET", url, data=form, allow_redirects=False)
        while "location" in answer.headers:
            url = requests.compat.urljoin(url, answer.headers["location"])
            if not url.startswith(setup["root"]):
                self.left = url
                return self
            answer = self.session.get(url, allow_redirects=False)
        self.status, self.text = answer.status_code, answer.text
        return self

    def hidden(self, name):
        found = re.search(f'name="{name}" value="([^"]*)"', self.text)
        assert found, f"no field {name} in {self.status} {self.text}"
        return html.unescape(found[1])

    def submit(self, fields):
        known = [(name, self.hidden(name)) for name in ("csrf", "flow", "step")]
        return self.open(setup["root"] + "/auth/flow", known + fields)

    def sign_in(self, username):
        self.submit([("username", username), ("password", setup["password"])])
        self.submit([("otp", one_time_password())])

    def allow(self):
        ticked = re.findall(r'name="scope"[^>]*value="([^"]*)" checked', self.text)
        return self.submit([("decision", "allow")] + [("scope", html.unescape(it)) for it in ticked])

    def deny(self):
        return self.submit([("decision", "deny")])
