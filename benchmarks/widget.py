"""The chat's script against rasa-webchat and deep-chat from npm: size, and how soon it can be seen on a slow phone: `make benchmark-widget`.

Each is one script on an otherwise empty page, served gzipped from loopback by the same server. Chromium's own throttling makes the
phone and the network slow. The three take turns, so that whatever else the machine does falls on all alike.
"""

from __future__ import annotations

import gzip
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from bot.setup.assets import npm
from bot.widget.build import build

REPORT = Path(__file__).with_suffix(".md")
RUNS = 9
SLOWER = 4
# a middling mobile connection: 1.6 Mbit/s down, 0.75 Mbit/s up, 150 ms there and back (Lighthouse's "slow 4G")
NETWORK = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 0.75e6 / 8}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
# when the chat is there, drawn by the next frame
SEEN = """
const sized = (one) => one && one.getBoundingClientRect().width > 20
const look = () => {
  if (THERE) requestAnimationFrame(() => setTimeout(() => (window.seen = performance.now())))
  else requestAnimationFrame(look)
}
requestAnimationFrame(look)
"""


@dataclass
class Chat:
    """One of the three: its script, the page that shows it, and how the page knows that it is there."""

    name: str
    script: bytes
    body: str
    there: str
    zipped: int = field(init=False)
    times: list[float] = field(default_factory=list)
    elsewhere: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.zipped = len(gzip.compress(self.script, 9))


def packages(folder: Path) -> dict[str, bytes]:
    """The main bundles of the two packages, as npm has them."""
    bundles = {"rasa-webchat@1.0.1": "package/lib/index.js", "deep-chat@2.4.2": "package/dist/deepChat.bundle.js"}
    found = {}
    for package, bundle in bundles.items():
        packed = subprocess.run([*npm(), "pack", package, "--silent"], cwd=folder, check=True, capture_output=True, text=True).stdout.split()[-1]
        with tarfile.open(folder / packed) as archive:
            found[package] = archive.extractfile(bundle).read()
    return found


def chats(folder: Path) -> list[Chat]:
    """All three, with the settings that show them soonest."""
    theirs = packages(folder)
    webchat = "<div id=webchat></div><script src=script.js></script><script src=start.js></script>"
    return [
        Chat("signpost-chat", build(folder / "signpost-chat.js").read_bytes(), "<script src=script.js defer></script><signpost-chat></signpost-chat>",
             "sized(document.querySelector('signpost-chat')?.shadowRoot?.querySelector('button'))"),
        Chat("rasa-webchat 1.0.1", theirs["rasa-webchat@1.0.1"], webchat, "document.querySelector('.rw-launcher')"),
        Chat("deep-chat 2.4.2", theirs["deep-chat@2.4.2"], "<script type=module src=script.js></script><deep-chat demo=true></deep-chat>",
             "sized(document.querySelector('deep-chat')?.shadowRoot?.querySelector('#text-input'))"),
    ]  # fmt: skip


START_WEBCHAT = b"WebChat.default({socketUrl: location.origin, hideWhenNotConnected: false, title: 'Chat'}, document.querySelector('#webchat'))"


def serve(served: list[Chat]) -> ThreadingHTTPServer:
    """A server of one folder for each chat: /0/ is the first."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, number, name, *_ = [*self.path.split("?")[0].split("/"), "", ""]
            chat = served[int(number)] if number.isdigit() else None
            watch = SEEN.replace("THERE", chat.there) if chat else ""
            page = f'<!DOCTYPE html><html lang="en"><title>x</title><script>{watch}</script><h1>A page</h1>{chat.body if chat else ""}'
            files = {"": ("text/html", page.encode())}
            if chat:
                files |= {"script.js": ("text/javascript", chat.script), "start.js": ("text/javascript", START_WEBCHAT)}
            kind, body = files.get(name, ("text/plain", b""))
            body = gzip.compress(body, 9)
            self.send_response(200 if name in files else 404)
            for header, value in {"Content-Type": f"{kind}; charset=utf-8", "Content-Encoding": "gzip", "Content-Length": str(len(body))}.items():
                self.send_header(header, value)
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def measure(browser: Browser, url: str, chat: Chat) -> None:
    """One visit with an empty cache: milliseconds until the chat can be seen, and which other hosts were asked."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.on("request", lambda r: None if r.url.startswith((url.rsplit("/", 2)[0], "data:", "blob:")) else chat.elsewhere.add(r.url.split("/")[2]))
    devtools = context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", NETWORK)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.goto(url, wait_until="commit")
    page.wait_for_function("window.seen", timeout=60_000)
    chat.times.append(page.evaluate("window.seen"))
    context.close()


def report(measured: list[Chat], version: str) -> str:
    """The page of results."""
    ours = measured[0]
    rows = []
    for chat in measured:
        middle, quarter = statistics.median(chat.times), statistics.quantiles(chat.times, n=4)
        rows.append(
            f"| {chat.name} | {len(chat.script) / 1000:.1f} | {chat.zipped / 1000:.1f} | {chat.zipped / ours.zipped:.1f} "
            f"| {middle:.0f} ({quarter[0]:.0f} to {quarter[2]:.0f}) | {middle / statistics.median(ours.times):.1f} | {', '.join(sorted(chat.elsewhere)) or 'none'} |"
        )
    table = "\n".join(rows)
    return f"""# The chat on a slow phone

`make benchmark-widget` makes this page. Each chat is one script on an otherwise empty page, from the same server, with an empty cache,
in Chromium {version} with its processor {SLOWER} times slower and a network of 1.6 Mbit/s with 150 ms there and back. "Seen" is when its
button (deep-chat has none: its box) has a size on the page and the frame is drawn. rasa-webchat keeps its button hidden until its socket.io
server has answered: its time is when the button is in the page, which is sooner. {RUNS} visits each, taking turns; the median, and in
brackets the middle half.

| | kB | kB gzipped | times ours | seen after ms | times ours | other hosts asked |
|---|---|---|---|---|---|---|
{table}

What it does not say: rasa-webchat's script also holds React and its socket.io client, deep-chat's also speech to text, files and a dozen
services; who needs those gets them there. Signpost's figures are for English; another language is one more request of about 3 kB gzipped
before the button is drawn. Milliseconds vary with the machine and what else it does (two cores, in use by other work when the page was made); the ratios are the claim.
"""


def main() -> None:
    """Measure and write the report."""
    executable = shutil.which("chromium")
    if executable is None:
        sys.exit("Chromium is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        measured = chats(Path(folder))
        server = serve(measured)
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        for _ in range(RUNS):
            for number, chat in enumerate(measured):
                measure(browser, f"http://127.0.0.1:{server.server_port}/{number}/", chat)
        REPORT.write_text(report(measured, browser.version), encoding="utf-8")
        browser.close()
        server.shutdown()
    print(REPORT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
