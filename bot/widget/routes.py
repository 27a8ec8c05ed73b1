"""What a website that embeds the chat fetches: the script, the interface's words, the areas; and the page that makes the tag for it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.knowledge.areas import Area
from bot.pages.rendering import page
from bot.settings import Settings
from bot.widget.build import TARGET, packed
from bot.widget.embedding import Embedding, EmbeddingRefused
from bot.widget.words import all_words

# another website's page may ask for a cross-origin policy (COEP) that wants this said
FOR_EVERY_SITE = {"Cross-Origin-Resource-Policy": "cross-origin"}


def routes(settings: Settings, areas: Mapping[str, Area], usual: str, script: Path = TARGET) -> list[Route]:
    """Routes under /widget, and /embed."""
    listed = {"areas": [{"id": area.id, "name": area.name} for area in sorted(areas.values(), key=lambda area: area.name)], "usual": usual}

    async def serve_script(request: Request) -> Response:
        if not script.exists():
            raise HTTPException(503, "The chat's script has not been made yet. Run make run.")
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        body = (packed(script) if zipped else script).read_bytes()
        tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        headers = {**FOR_EVERY_SITE, "ETag": tag, "Vary": "Accept-Encoding", "Cache-Control": "public, no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="text/javascript", headers={**headers, **({"Content-Encoding": "gzip"} if zipped else {})})

    async def serve_words(request: Request) -> Response:
        found = all_words().get(request.path_params["code"])
        if found is None:
            raise HTTPException(404, "We do not have that language.")
        return JSONResponse(found.for_script(), headers={**FOR_EVERY_SITE, "Cache-Control": "public, max-age=3600"})

    async def serve_areas(request: Request) -> Response:
        return JSONResponse(listed, headers={**FOR_EVERY_SITE, "Cache-Control": "public, max-age=3600"})

    async def embed(request: Request) -> Response:
        asked = dict(request.query_params)
        try:
            embedding, problem = Embedding.asked(asked, areas, settings.site), None
        except EmbeddingRefused as refused:
            embedding, problem = Embedding(settings.site), refused
        return page(
            "embed.html",
            422 if problem else 200,
            embedding=embedding,
            problem=problem,
            asked=asked,
            places=[(area["id"], area["name"]) for area in listed["areas"]],
            spoken=[(code, words.given["language"]) for code, words in all_words().items()],
            site=settings.site,
            origins=settings.embedders,
        )

    return [
        Route("/widget/signpost-chat.js", serve_script),
        Route("/widget/words/{code:str}.json", serve_words),
        Route("/widget/areas.json", serve_areas),
        Route("/embed", embed),
    ]
