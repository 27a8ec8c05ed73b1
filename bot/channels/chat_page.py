"""The chat page."""
from starlette.routing import Route
def routes(chat, settings) -> list[Route]:
    return []
