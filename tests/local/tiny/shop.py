"""A shop that is only there."""

import argparse
from http.server import ThreadingHTTPServer

from tests.local.tiny.stripe import Handler

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--state-dir")
    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port + 2), Handler).serve_forever()
