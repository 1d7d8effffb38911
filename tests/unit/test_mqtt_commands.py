import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge_af.mqtt_commands import BadCommandError, Focus, Move, Stop, Track, read_command
from edge_af.mqtt_settings import MqttSettings

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_a_command_is_read_with_its_arguments():
    assert read_command(b'{"id": "1", "command": "focus"}') == Focus(id="1", command="focus")
    by = read_command(b'{"id": "2", "command": "move", "by_um": -3}')
    assert by == Move(id="2", command="move", by_um=-3.0)
    on = read_command(b'{"id": "3", "command": "track", "on": true}')
    assert on == Track(id="3", command="track", on=True)


@pytest.mark.parametrize(
    ("payload", "said", "id"),
    [
        (b"focus", "not JSON", None),
        (b"", "not JSON", None),
        (b"\xff\xfe", "not JSON", None),
        (b"[" * 5000, "not JSON", None),
        (b'["focus"]', "is a JSON object", None),
        (b'{"command": "focus"}', "id is missing", None),
        (b'{"id": 7, "command": "focus"}', "id = 7: input should be a valid string", None),
        (b'{"id": "", "command": "focus"}', "id = '': ", ""),
        (b'{"id": "1"}', "command is missing", "1"),
        (b'{"id": "1", "command": "fokus"}', "no command 'fokus'; known: 'stop', 'focus'", "1"),
        (b'{"id": "1", "command": "focus", "z": 1}', "focus has no argument z", "1"),
        (b'{"id": "1", "command": "move"}', "move: give either to_um or by_um", "1"),
        (b'{"id": "1", "command": "move", "to_um": 1, "by_um": 1}', "give either to_um", "1"),
        (b'{"id": "1", "command": "move", "to_um": "1"}', "to_um = '1': input should be", "1"),
        (b'{"id": "1", "command": "move", "by_um": true}', "by_um = True: input should be", "1"),
        (b'{"id": "1", "command": "move", "by_um": NaN}', "should be a finite number", "1"),
        (b'{"id": "1", "command": "move", "by_um": 1e999}', "should be a finite number", "1"),
        (b'{"id": "1", "command": "track"}', "on is missing", "1"),
        (b'{"id": "1", "command": "track", "on": 1}', "on = 1: input should be", "1"),
        (b'{"id": "1", "command": "calibrate", "fields": 0}', "greater than or equal to 1", "1"),
        (b'{"id": "1", "command": "cancel"}', "job is missing", "1"),
    ],
)
def test_what_is_no_command_is_refused_with_the_reason(payload: bytes, said: str, id: str | None):
    with pytest.raises(BadCommandError) as caught:
        read_command(payload)

    assert said in str(caught.value)
    assert caught.value.id == id
    assert len(str(caught.value)) < 300


@given(st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode(errors="surrogatepass")))
def test_whatever_is_sent_is_a_command_or_refused(payload: bytes):
    with contextlib.suppress(BadCommandError):
        assert read_command(payload)


@given(st.dictionaries(st.text(), ANY_JSON))
def test_a_stop_is_a_stop_whatever_else_is_wrong(rest: dict[str, object]):
    payload = json.dumps({**rest, "command": "stop"}).encode()

    assert isinstance(read_command(payload), Stop)


def test_an_id_of_a_stop_that_cannot_be_used_is_left_out():
    assert read_command(b'{"id": "a", "command": "stop"}') == Stop(id="a")
    assert read_command(b'{"id": [1], "command": "stop"}') == Stop(id=None)


@pytest.mark.parametrize("name", ["", "a/b", "#", "+", "a b", "x" * 65, "ü"])
def test_a_name_is_one_level_of_a_topic(name: str):
    with pytest.raises(ValidationError):
        MqttSettings(host="broker", name=name)


def test_the_settings_say_all_of_it():
    with pytest.raises(ValidationError, match="there is username but no password_file"):
        MqttSettings(host="broker", username="scope")
    with pytest.raises(ValidationError, match="there is password_file but no username"):
        MqttSettings(host="broker", password_file=Path("secret"))
    with pytest.raises(ValidationError, match="ca_file is of no use without tls = true"):
        MqttSettings(host="broker", ca_file=Path("ca.pem"))


def test_the_port_is_the_registered_one_unless_given():
    assert MqttSettings(host="broker").port_in_use == 1883
    assert MqttSettings(host="broker", tls=True).port_in_use == 8883
    assert MqttSettings(host="broker", tls=True, port=1).port_in_use == 1
