"""Starts moto so that it ends each TLS connection with the farewell that pgBackRest wants (close_notify, RFC 8446, 6.1): it takes anything else for a cut."""
import sys

from moto.server import main
from werkzeug.serving import BaseWSGIServer

close = BaseWSGIServer.shutdown_request


def shutdown_request(self, request):
    try:
        request.settimeout(0.5)
        request.unwrap()
    except (AttributeError, OSError, ValueError):
        pass  # The other side was faster.
    close(self, request)


BaseWSGIServer.shutdown_request = shutdown_request
main(sys.argv[1:])
