"""Clients that look on, in a process of their own: `onlookers.py SOCKET HOW_MANY`, until EOF.

It prints a line once all of them have had a first answer.
"""

import sys
import threading

import httpx


def looks_on(socket: str, number: int, answered: threading.Event, ended: threading.Event) -> None:
    """Ask for the status once a second, or look at the preview: who finds no place tries again."""
    transport = httpx.HTTPTransport(uds=socket)
    with httpx.Client(transport=transport, base_url="http://edge-af", timeout=30) as client:
        while not ended.wait(1.0):
            if number % 2:
                client.get("/api/v1/status").raise_for_status()
                answered.set()
                continue
            with client.stream("GET", "/api/v1/preview") as answer:
                answered.set()
                if answer.status_code == 503:
                    continue
                for _ in answer.iter_raw():
                    if ended.is_set():
                        break


if __name__ == "__main__":
    ended = threading.Event()
    answered = [threading.Event() for _ in range(int(sys.argv[2]))]
    crowd = [
        threading.Thread(target=looks_on, args=(sys.argv[1], number, first, ended))
        for number, first in enumerate(answered)
    ]
    for one in crowd:
        one.start()
    for first in answered:
        first.wait()
    print("all are there", flush=True)
    sys.stdin.read()
    ended.set()
    for one in crowd:
        one.join()
