"""The web server.   python -m satdaemon.web -d CFG"""

from __future__ import annotations

import argparse
import logging

import uvicorn

from satdaemon.config import load
from satdaemon.web.app import create_app


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m satdaemon.web")
    parser.add_argument("-d", "--config", metavar="CFG")
    settings = load(parser.parse_args().config)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    web = settings.web
    uvicorn.run(
        create_app(settings),
        host=web.host,
        port=web.port,
        proxy_headers=bool(web.proxies),
        forwarded_allow_ips=",".join(web.proxies) or None,
        server_header=False,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
