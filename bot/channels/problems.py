"""Bad input told in plain English: `{"error": {"code", "message"}}`, never a stack trace."""

from __future__ import annotations

from starlette.responses import JSONResponse


class Problem(Exception):
    """Something the caller can mend."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}

    def response(self) -> JSONResponse:
        """The problem as the API tells it."""
        return JSONResponse({"error": {"code": self.code, "message": self.message}}, self.status, self.headers)


BAD_JSON = Problem(400, "bad_json", "The request must be a JSON object.")
NOT_SIGNED_IN = Problem(401, "no_session", "This chat has ended or was never started. Start a new one.", {"WWW-Authenticate": "Bearer"})
TOO_LARGE = Problem(413, "too_large", "That is too much at once. Send it in smaller parts.")
