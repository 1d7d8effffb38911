"""Which MQTT broker the service reports to, and by which name."""

import socket
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

PORT, TLS_PORT = 1883, 8883
"""Registered with IANA as mqtt and secure-mqtt."""


def _host_name() -> str:
    return socket.gethostname().split(".")[0]


class MqttSettings(BaseModel):
    """The table [mqtt]: one broker for many microscopes. Without it there is no MQTT."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    host: str = Field(min_length=1, examples=["broker.example.org"])
    """Name or address of the broker."""
    port: int | None = Field(None, ge=1, le=65535, examples=[8883])
    """8883 with TLS and 1883 without, if it is not given."""
    name: str = Field(
        default_factory=_host_name,
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        validate_default=True,
        examples=["microscope-1"],
    )
    """What this microscope is called in its topics, edge-af/<name>/...; its host's name, if it is
    not given. No two may have the same."""
    username: str | None = Field(None, min_length=1, examples=["edge-af"])
    """As the broker knows this microscope; needs password_file."""
    password_file: Path | None = Field(None, examples=["/etc/edge-af/mqtt-password"])
    """Holds the password, so that these settings may be read by anyone."""
    tls: bool = False
    """Whether to talk to it encrypted."""
    ca_file: Path | None = Field(None, examples=["/etc/edge-af/broker-ca.pem"])
    """Certificates (PEM) to trust; those of the system, if it is not given."""

    @model_validator(mode="after")
    def _says_all_of_it(self) -> Self:
        if (self.username is None) != (self.password_file is None):
            there, missing = "username", "password_file"
            if self.username is None:
                there, missing = missing, there
            raise ValueError(f"there is {there} but no {missing}: give both, or neither")
        if self.ca_file is not None and not self.tls:
            raise ValueError("ca_file is of no use without tls = true")
        return self

    @property
    def port_in_use(self) -> int:
        """The port, whether given or not."""
        return self.port or (TLS_PORT if self.tls else PORT)

    @property
    def client_id(self) -> str:
        """Who it is to the broker, which lets in only one of a name."""
        return f"edge-af-{self.name}"

    def topic(self, leaf: str) -> str:
        """Return the topic of this microscope's `leaf`."""
        return f"edge-af/{self.name}/{leaf}"
