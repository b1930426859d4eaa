"""The REST API and the web page over some bundles: `create_app`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from polydx import __version__
from polydx.serve.batching import Batcher
from polydx.serve.bodies import Held, read_body
from polydx.serve.cases import Case
from polydx.serve.examples import example
from polydx.serve.explaining import Explainer, chosen
from polydx.serve.guard import NOTES, Guard
from polydx.serve.openapi import POSTED, add_request_schemas
from polydx.serve.options import Options
from polydx.serve.page_files import PageFiles
from polydx.serve.parse import Parser
from polydx.serve.refusals import HANDLERS, RefusedError
from polydx.serve.schemas import READING, REFUSALS, ExplainOut, Health, ModelOut, ModelsOut, PredictIn, PredictOut
from polydx.serve.served import Served
from polydx.serve.views import views

if TYPE_CHECKING:
    from polydx.bundle import Predictor

Result = TypeVar("Result")

READERS, CALLERS = 4, 3
MOST_VIEWS = 100
WARM_AFTER = 0.1
"""Seconds: the server listens first."""
NOTE = "Research use only. Not a medical device."


class Server:
    """What the routes share: models, threads, bounds.

    Args:
        predictors: name -> loaded bundle.
        options: the limits.
    """

    def __init__(self, predictors: Mapping[str, Predictor], options: Options) -> None:
        self.options = options
        self.models = {name: Served(predictor) for name, predictor in predictors.items()}
        self.held = Held(options.most_held, options.most_each)
        self.open()

    def open(self) -> None:
        """Take threads; again, if they were let go."""
        self.readers = ThreadPoolExecutor(READERS, "read")
        self.callers = ThreadPoolExecutor(CALLERS, "call")
        self.batchers: dict[str, Batcher[Case, dict[str, Any]]] = {
            name: Batcher(served.answer, self.callers) for name, served in self.models.items()
        }

    def warm(self) -> None:
        """Ask each model once, so that no client waits for what Python loads at first use."""
        for served in self.models.values():
            example(served)

    def close(self) -> None:
        """Let the threads go."""
        self.readers.shutdown(wait=False, cancel_futures=True)
        self.callers.shutdown(wait=False, cancel_futures=True)

    def model(self, name: str) -> Served:
        """Return a model by its name.

        Raises:
            RefusedError: there is none.
        """
        if name not in self.models:
            raise RefusedError(404, "not-found", f"no such model; there are: {', '.join(self.models)}")
        return self.models[name]

    async def predict(self, name: str, request: Request, together: bool, with_views: bool) -> dict[str, Any]:
        """Return the answers to a request."""
        served, batcher = self.model(name), self.batchers[name]
        with self.held.request() as share, batcher.announced() as arrived:
            body = await read_body(request, self.options, share)
            parser = Parser(served, self.options, share, together)
            content_type = request.headers.get("content-type", "")
            cases = await self._thread(self.readers, partial(parser.cases, content_type, body))
            request.scope[NOTES] |= {"model": name, "bytes": len(body), "samples": len(cases)}
            del body
            waiting = asyncio.ensure_future(batcher(cases))
            await asyncio.sleep(0)
            arrived()
            answers = [dict(answer) for answer in await self._in_time(waiting)]
            if with_views:
                for answer, case in zip(answers[:MOST_VIEWS], cases, strict=False):
                    answer["views"] = await self._thread(self.readers, partial(views, case))
        return {"model": name, "note": NOTE, "answers": answers}

    async def explain(
        self, name: str, request: Request, together: bool, sample: int, task: str | None, label: str | None
    ) -> dict[str, Any]:
        """Return what the answer to one sample of a request rests on."""
        served = self.model(name)
        with self.held.request() as share:
            body = await read_body(request, self.options, share)
            parser = Parser(served, self.options, share, together)
            content_type = request.headers.get("content-type", "")
            cases = await self._thread(self.readers, partial(parser.cases, content_type, body))
            request.scope[NOTES] |= {"model": name, "bytes": len(body), "samples": len(cases)}
            if sample >= len(cases):
                raise RefusedError(422, "bad-input", f"there is no sample {sample}; the request holds {len(cases)}")
            case = cases[sample]
            return await self._thread(self.callers, partial(self._explained, served, case, task, label))

    def _explained(self, served: Served, case: Case, task: str | None, label: str | None) -> dict[str, Any]:
        end = time.monotonic() + self.options.timeout

        def check() -> None:
            if time.monotonic() > end:
                raise self._late()

        (answer,) = served.answer([case])
        return Explainer(served, case, *chosen(served, answer, task, label), check).explain()

    async def _thread(self, pool: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
        return await self._in_time(asyncio.get_running_loop().run_in_executor(pool, work))

    async def _in_time(self, waiting: asyncio.Future[Result]) -> Result:
        try:
            async with asyncio.timeout(self.options.timeout):
                return await waiting
        except TimeoutError as error:
            raise self._late() from error

    def _late(self) -> RefusedError:
        what = f"no answer within {self.options.timeout:g} s; send less, or try again later"
        return RefusedError(503, "too-long", what)


def create_app(predictors: Mapping[str, Predictor], options: Options | None = None) -> FastAPI:
    """Return the application: `/v1/models`, their `predict`, `explain` and `example`, `/healthz`, and the page at `/`.

    Args:
        predictors: name -> loaded bundle.
        options: limits, keys and hosts; the defaults if not given.
    """
    server = Server(predictors, options or Options())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        server.open()
        warming = asyncio.get_running_loop().call_later(WARM_AFTER, server.callers.submit, server.warm)
        yield
        warming.cancel()
        server.close()

    app = FastAPI(
        title="polydx",
        version=__version__,
        summary=NOTE,
        docs_url=None,  # both load their scripts from another host
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers=HANDLERS,
    )
    app.add_middleware(Guard, options=server.options)
    _add_models(app, server)
    _add_answers(app, server)
    _add_page(app, server)
    add_request_schemas(app, PredictIn)
    return app


def _add_models(app: FastAPI, server: Server) -> None:
    @app.get("/v1/models", response_model=ModelsOut, responses=READING)
    async def models() -> Any:
        """Say which models are served, what they take and what they answer."""
        return {"note": NOTE, "models": [served.describe() for served in server.models.values()]}

    @app.get("/v1/models/{name}", response_model=ModelOut, responses=READING)
    async def model(name: str) -> Any:
        """Say what one model takes and answers."""
        return server.model(name).describe()

    @app.get("/v1/models/{name}/example", response_model=PredictIn, responses=READING)
    async def model_example(name: str) -> Any:
        """Give a made-up sample that can be sent to `predict`: nobody's measurement."""
        return JSONResponse(await server._thread(server.readers, partial(example, server.model(name))))


def _add_answers(app: FastAPI, server: Server) -> None:
    together_words = "All files of the form are of one patient (models of patients)."

    @app.post("/v1/models/{name}/predict", response_model=PredictOut, responses=REFUSALS, openapi_extra=POSTED)
    async def predict(
        name: str,
        request: Request,
        together: bool = Query(False, description=together_words),
        views: bool = Query(False, description="Give the measurements back, small enough to be shown."),
    ) -> Any:
        """Answer samples, sent as JSON or as a form of files."""
        return JSONResponse(await server.predict(name, request, together, views))

    @app.post("/v1/models/{name}/explain", response_model=ExplainOut, responses=REFUSALS, openapi_extra=POSTED)
    async def explain(
        name: str,
        request: Request,
        together: bool = Query(False, description=together_words),
        sample: int = Query(0, ge=0, le=1_000_000, description="Which of the samples sent, from 0."),
        task: str | None = Query(None, description="The first one if not given."),
        label: str | None = Query(None, description="A class of the task; the decision if not given."),
    ) -> Any:
        """Say which parts of a sample's measurements an answer rests on, by hiding each in turn."""
        return JSONResponse(await server.explain(name, request, together, sample, task, label))


def _add_page(app: FastAPI, server: Server) -> None:
    page = PageFiles()

    @app.get("/healthz", response_model=Health)
    async def health() -> Any:
        """Say that the server answers."""
        return {"status": "ok", "version": __version__, "models": len(server.models)}

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        found = page.answer(request, "index.html")
        assert found is not None
        return found

    @app.get("/page/{name}", include_in_schema=False)
    async def page_file(name: str, request: Request) -> Response:
        found = page.answer(request, name)
        if found is None:
            raise HTTPException(404, "no such file")
        return found
