"""Clients that look on, in a process of their own: `onlookers.py SOCKET HOW_MANY`, until EOF."""

import sys
import threading

import httpx


def looks_on(socket: str, number: int, ended: threading.Event) -> None:
    """Ask for the status once a second, or look at the preview: who finds no place tries again."""
    transport = httpx.HTTPTransport(uds=socket)
    with httpx.Client(transport=transport, base_url="http://edge-af", timeout=30) as client:
        while not ended.wait(1.0):
            if number % 2:
                client.get("/api/v1/status").raise_for_status()
                continue
            with client.stream("GET", "/api/v1/preview") as answer:
                if answer.status_code == 503:
                    continue
                for _ in answer.iter_raw():
                    if ended.is_set():
                        break


if __name__ == "__main__":
    ended = threading.Event()
    crowd = [
        threading.Thread(target=looks_on, args=(sys.argv[1], number, ended))
        for number in range(int(sys.argv[2]))
    ]
    for one in crowd:
        one.start()
    sys.stdin.read()
    ended.set()
    for one in crowd:
        one.join()
