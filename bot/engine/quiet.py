"""What libraries warn their own developers of stays off the operator's screen, where the demo's sign-ins stand once."""

from __future__ import annotations

import importlib
import warnings


def keep_warnings_out() -> None:
    """Show no warnings of this process. Must run before Rasa is imported: sanic, which Rasa brings, turns them on as it is imported."""
    importlib.import_module("sanic.app")
    warnings.filterwarnings("ignore")
