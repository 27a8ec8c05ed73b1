"""`python3 -m bot.setup run|test|test-fast`: make everything ready that the command needs, and nothing twice."""

from __future__ import annotations

import sys
import time

from bot.setup import assets, model, sentence_model, system_packages
from bot.setup.environments import APP, ENGINE, SetupFailed, check_python, ensure


def main(purpose: str) -> None:
    """Set up for `run` (all but the tests' needs), `test` (everything) or `test-fast` (no engine, no browser)."""
    check_python()
    began = time.monotonic()
    done = [ensure(APP, "app" if purpose == "run" else "app-test"), assets.ensure()]
    if purpose != "test-fast":
        done += [ensure(ENGINE, "engine"), sentence_model.ensure(), model.ensure()]
    if purpose == "test":
        system_packages.ensure()
    if any(done):
        print(f"  ready after {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "run")
    except SetupFailed as problem:
        sys.exit(f"\nSet-up stopped: {problem}")
    except KeyboardInterrupt:
        sys.exit("\nStopped. Run the same command again to go on.")
