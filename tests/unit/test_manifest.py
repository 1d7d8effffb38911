import math

import pytest

from edge_af.errors import UserError
from train.manifest import Row, read_rows, write_rows

ROW = Row("a.tif", 3, -1.25, "field", "train", 0.35, "virtual:mixed", 0.2)


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "m.csv"
    write_rows(path, [ROW, Row("b.png", 0, 2.0, "other", "test", 0.5, "camera")])
    first, second = read_rows(path)
    assert first == ROW
    assert math.isnan(second.content)


def test_page_and_content_may_be_left_out(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("file,z_um,field,split,um_per_px,source\na.png,1.5,f,test,0.35,mine\n")
    (row,) = read_rows(path)
    assert (row.file, row.page, row.z_um) == ("a.png", 0, 1.5)
    assert math.isnan(row.content)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,z_um\na,1\n", "line 2: column field is missing"),
        ("file,z_um,field,split,um_per_px,source\na,x,f,s,1,c\n", "line 2: z_um must be a number"),
        ("file,z_um,field,split,um_per_px,source\na,nan,f,s,1,c\n", "z_um must be finite"),
        ("file,z_um,field,split,um_per_px,source\na,1,f,s,0,c\n", "um_per_px positive"),
        ("file,z_um,field,split,um_per_px,source\n", "lists no tiles"),
    ],
)
def test_a_faulty_line_is_named(tmp_path, text, said):
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_rows(path)


@pytest.mark.parametrize("content", [None, b"\x89PNG\xff\xfe"])
def test_a_missing_or_binary_manifest_is_refused(tmp_path, content):
    path = tmp_path / "m.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"m\.csv"):
        read_rows(path)
