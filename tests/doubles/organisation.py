"""An organisation's sign-in (OpenID Connect provider) over real HTTP: it vouches for whoever the test names, and can lie."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "signpost", "kept between us"


class OrganisationDouble:
    """Set `claims` (what it says of the person), `key` (what it signs with), or `refuses`; it checks client, address, code and verifier."""

    def __init__(self) -> None:
        self._known_key = RSAKey.generate_key(2048, {"kid": "one"})
        self.key = self._known_key
        self.claims: dict[str, Any] = {"sub": "person-7", "email": "wren.larkspur@example.org", "email_verified": True}
        self.refuses = False
        self._asked: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def visit(self, address: str) -> str:
        """What a browser does that is sent there: the address it is sent back to."""
        asked = dict(parse_qsl(urlsplit(address).query))
        assert asked["client_id"] == CLIENT and asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
        assert {"openid", "email"} <= set(asked["scope"].split())
        code = secrets.token_urlsafe(12)
        self._asked[code] = asked
        back = {"error": "access_denied", "state": asked["state"]} if self.refuses else {"code": code, "state": asked["state"]}
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def _token(self, form: dict[str, str]) -> dict[str, Any] | None:
        asked = self._asked.pop(form.get("code", ""), None)
        if asked is None or form.get("redirect_uri") != asked["redirect_uri"]:
            return None
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        if challenge != asked["code_challenge"]:
            return None
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **self.claims}
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)
        return {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": signed}

    def _handler(double):  # noqa: N805 - the handler's own self is needed inside
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/.well-known/openid-configuration":
                    self._send(
                        200,
                        {
                            "issuer": double.url,
                            "authorization_endpoint": f"{double.url}/authorize",
                            "token_endpoint": f"{double.url}/token",
                            "jwks_uri": f"{double.url}/keys",
                            "id_token_signing_alg_values_supported": ["RS256"],
                        },
                    )
                elif self.path == "/keys":
                    self._send(200, {"keys": [double._known_key.as_dict(private=False)]})
                else:
                    self._send(404, {})

            def do_POST(self) -> None:
                form = {name: values[0] for name, values in parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()).items()}
                basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
                token = double._token(form) if self.headers.get("Authorization") == f"Basic {basic}" else None
                self._send(200 if token else 400, token or {"error": "invalid_grant"})

            def _send(self, status: int, body: dict[str, Any]) -> None:
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
