"""`polydx serve`: load bundles, say where they are served, and serve them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import uvicorn

from polydx.bundle import Predictor, load
from polydx.errors import ConfigError
from polydx.serve.app import create_app
from polydx.serve.logs import LOG, start_logging
from polydx.serve.options import Options

MOST_CONNECTIONS = 1000
KEEP_ALIVE_SECONDS = 15
GRACE_SECONDS = 10


def load_all(bundles: Sequence[Path]) -> dict[str, Predictor]:
    """Return the bundles by name.

    Raises:
        BundleError: one is broken, or tampered with.
        ConfigError: two have the same name.
    """
    found: dict[str, Predictor] = {}
    for path in bundles:
        predictor = load(path)
        if predictor.name in found:
            what = f"{path} holds a model named '{predictor.name}', as another bundle does; serve one of them alone"
            raise ConfigError(what)
        found[predictor.name] = predictor
    return found


def run(predictors: Mapping[str, Predictor], options: Options, say: Callable[[str], None]) -> None:
    """Serve until the process is told to stop (Ctrl-C, SIGTERM).

    Args:
        predictors: name -> loaded bundle.
        options: where and how.
        say: told in words where to find the page, and who else may.
    """
    start_logging()
    config = uvicorn.Config(
        create_app(predictors, options),
        host=options.host,
        port=options.port,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        ws="none",
        http="h11",
        loop="asyncio",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    for words in announcement(predictors, options):
        say(words)
    LOG.info("start", extra={"fields": {"models": list(predictors), "local": options.local}})
    uvicorn.Server(config).run()


def announcement(predictors: Mapping[str, Predictor], options: Options) -> list[str]:
    """Return what is said at the start."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    said = [f"serving {', '.join(predictors)} at http://{host}:{options.port} (stop with Ctrl-C). Research use only."]
    if not options.local:
        key = "an API key is asked for" if options.api_keys else "NO API KEY is asked for (--api-key-file)"
        said.append(
            f"WARNING: {options.host} is reached from other machines, without encryption; {key}. "
            "Put a proxy with TLS before it."
        )
    return said
