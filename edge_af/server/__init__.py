"""The HTTP API of the service, and the page."""
