"""`edge-af run`, the service itself."""

from edge_af.cli.options import ConfigFile


def run_service(config: ConfigFile = None) -> int:
    """Run the service, for the commands, programs and the page that talk to it.

    It ends with SIGTERM, and reads its settings again with SIGHUP.
    """
    from edge_af.config import DEFAULT_PATH
    from edge_af.logs import log_to_stderr
    from edge_af.run import serve

    log_to_stderr()
    serve(config or DEFAULT_PATH)
    return 0
