"""A real Mosquitto, on a loopback port of its own, and somebody who talks to microscopes by it."""

import getpass
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

_MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
_PATIENCE_S = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_mosquitto() -> None:
    if _MOSQUITTO is None:
        pytest.skip("needs a broker: sudo apt-get install mosquitto")


class Broker:
    """Can be started and stopped; keeps what is retained."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        lines = [
            f"user {getpass.getuser()}",
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {folder}/",
            "log_dest stderr",
            *(settings or ["allow_anonymous true"]),
        ]
        self._config.write_text("\n".join(lines) + "\n")
        self._log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert _MOSQUITTO is not None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([_MOSQUITTO, "-c", self._config], stderr=log)
        for _ in range(_PATIENCE_S * 20):
            assert self._process.poll() is None, self._log.read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(self._log.read_text())

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_PATIENCE_S)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


class Lab:
    """Sends commands to the microscope `name`, and hears all that it says."""

    def __init__(self, broker: Broker, name: str) -> None:
        self._name = name
        self._heard: list[tuple[str, Any]] = []
        self._news = threading.Condition()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="lab")
        self._client.on_connect = lambda client, *_: client.subscribe("edge-af/#", 1)
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)
        self._port = broker.port

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic.endswith("/command") or not message.payload:
            return
        with self._news:
            self._heard.append((message.topic.rsplit("/", 1)[1], json.loads(message.payload)))
            self._news.notify_all()

    def send(self, payload: str | bytes = "", *, retain: bool = False, **command: object) -> None:
        content = payload or json.dumps(command)
        sent = self._client.publish(f"edge-af/{self._name}/command", content, 1, retain)
        sent.wait_for_publish(_PATIENCE_S)
        assert sent.is_published()

    def heard(self, topic: str) -> list[Any]:
        with self._news:
            return [content for where, content in self._heard if where == topic]

    def forget(self) -> None:
        with self._news:
            self._heard.clear()

    def wait_for(self, topic: str, wanted: Callable[[Any], object]) -> Any:
        """Return the first message under `topic` that is wanted, those of the past included."""

        def found() -> Any:
            return next((one for one in self.heard(topic) if wanted(one)), None)

        with self._news:
            assert self._news.wait_for(found, _PATIENCE_S), self._heard
            return found()

    def answer(self, id: str | None) -> Any:
        """Return the answer to a command that is no job, or was refused."""
        return self.wait_for("result", lambda answer: answer["id"] == id and not answer["job"])

    def job(self, id: str, *states: str) -> Any:
        """Return the job of a command once it is in one of `states`, or has ended."""
        ends = states or ("done", "failed", "cancelled", "stopped")
        told = self.wait_for(
            "result", lambda a: a["id"] == id and (a["error"] or a["job"]["state"] in ends)
        )
        assert told["error"] is None, told
        return told["job"]

    def status(self, state: str) -> Any:
        return self.wait_for("status", lambda status: status["state"] == state)

    def online(self) -> Any:
        return self.wait_for("status", lambda status: status["state"] != "offline")

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        return self

    def __exit__(self, *error: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
