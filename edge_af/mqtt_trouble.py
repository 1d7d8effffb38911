"""What keeps the service from its broker, in words that help."""

from aiomqtt import MqttCodeError
from paho.mqtt.reasoncodes import ReasonCode

from edge_af.errors import UserError
from edge_af.mqtt_settings import MqttSettings

_BAD_PASSWORD, _NOT_AUTHORIZED = 0x86, 0x87
"""Reason codes of MQTT 5.0, section 2.4."""


def explained(error: Exception, settings: MqttSettings) -> str:
    """Return what was wrong and the cure."""
    where = f"{settings.host}:{settings.port_in_use}"
    code = error.rc if isinstance(error, MqttCodeError) else None
    reason = code.value if isinstance(code, ReasonCode) else None
    if isinstance(error, UserError):
        return str(error)
    if reason in (_BAD_PASSWORD, _NOT_AUTHORIZED) and settings.username is None:
        return f"the broker {where} wants a user: set mqtt.username and mqtt.password_file"
    if reason in (_BAD_PASSWORD, _NOT_AUTHORIZED):
        return (
            f"the broker {where} refuses user {settings.username}: check mqtt.username, and the "
            f"password in {settings.password_file}"
        )
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            f"the certificate of {where} is not trusted ({error}): set mqtt.ca_file to that of "
            "its authority, and mqtt.host to the name in it"
        )
    if isinstance(error.__cause__, MqttCodeError):
        # Mosquitto 2.0.11 closes the connection of the older one without a word.
        return (
            f"the connection to {where} is lost ({error.__cause__}); if that happens all the time, "
            f"another microscope may be called {settings.name} too: see mqtt.name"
        )
    return f"no connection to {where}: {error}"
