"""Forms that browsers post: read within a limit, and refused when they come from somebody else's page."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

LONGEST_FORM = 256 * 1024
MOST_FIELDS = 60


class FormRefused(Exception):
    """A form was not used; the message says why in plain words, `status` is for HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


ELSEWHERE = FormRefused(403, "This form was sent from another website, so it was not used. Open the page here and send it again.")
UNREADABLE = FormRefused(400, "The form could not be read. Go back and send it again.")
TOO_LARGE = FormRefused(413, "That is too much at once. Go back and send it in smaller parts.")


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form with their last values and plain line ends. Raises FormRefused for too much, or for what is no form."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LONGEST_FORM:
            raise TOO_LARGE
    try:
        fields = parse_qsl(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="replace")
    except ValueError:
        raise UNREADABLE from None
    return {name: value.replace("\r\n", "\n").replace("\0", "") for name, value in fields}


def refuse_cross_site(request: Request, site: str) -> None:
    """Raise FormRefused unless the form was sent by a page of ours; `site` is the address that people see.

    Browsers send `Origin` with every post of a form; where an old one does not, SameSite cookies and form tokens still hold.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ELSEWHERE
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc not in (request.headers.get("host"), urlsplit(site).netloc):
        raise ELSEWHERE
