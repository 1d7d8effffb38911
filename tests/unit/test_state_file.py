import pytest
from test_config import CALIBRATION

from edge_af.errors import UserError
from edge_af.state_file import State, default_folder, read_state, write_state


def test_what_is_written_is_read(tmp_path):
    folder = tmp_path / "made" / "if need be"
    assert read_state(folder) == State()
    state = State(calibration=CALIBRATION)
    write_state(folder, state)
    assert read_state(folder) == state
    assert [path.name for path in folder.iterdir()] == ["state.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"format": 2}', b'{"calib": 1}'])
def test_a_damaged_file_is_refused_with_the_cure(tmp_path, content):
    (tmp_path / "state.json").write_bytes(content)
    with pytest.raises(UserError, match=r"is damaged .*: remove it and run"):
        read_state(tmp_path)


def test_where_it_cannot_be_written_the_old_state_stays(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot make the state folder"):
        write_state(tmp_path / "file" / "below", State())
    (tmp_path / "state.json").mkdir()
    with pytest.raises(UserError, match="cannot read"):
        read_state(tmp_path)


def test_the_folder_is_systemds_or_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert default_folder() == tmp_path / ".local" / "state" / "edge-af"
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert str(default_folder()) == "/x/edge-af"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/edge-af:/other")
    assert str(default_folder()) == "/var/lib/edge-af"
