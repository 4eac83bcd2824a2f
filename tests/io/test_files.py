"""Files are written whole or not at all."""

import os

import pytest

from napari_medssl._errors import UserError
from napari_medssl.io.files import replace_whole, write_all_whole, write_whole


def test_write_whole_replaces_what_was_there(tmp_path):
    target = tmp_path / "a.txt"
    write_whole(target, "first")
    write_whole(target, b"second")
    assert target.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_write_whole_keeps_line_ends_and_accents(tmp_path):
    write_whole(tmp_path / "a.txt", "é\r\nü\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\r\nü\n".encode()


def test_error_in_the_block_leaves_the_old_file_and_no_other(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replace_whole(target) as temporary:
        temporary.write_bytes(b"half of the new"[: 1 // 0])
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_temporary_file_keeps_the_suffix(tmp_path):
    with replace_whole(tmp_path / "a.png") as temporary:
        assert temporary.suffix == ".png"
        assert temporary.parent == tmp_path


def test_a_writer_that_makes_a_file_of_its_own_changes_no_permissions(tmp_path):
    (tmp_path / "plain").write_text("x")
    with replace_whole(tmp_path / "weights") as temporary:
        other = tmp_path / "other"
        other.write_bytes(b"x")
        other.chmod(0o600)
        other.replace(temporary)
    usual = (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "weights").stat().st_mode == usual


def test_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "plain").write_text("x")
    write_whole(tmp_path / "ours", "x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_replaced_file_keeps_its_permissions(tmp_path):
    target = tmp_path / "a"
    target.write_text("x")
    target.chmod(0o640)
    write_whole(target, "y")
    assert target.stat().st_mode & 0o777 == 0o640


def test_missing_folder_is_said_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"Cannot write .*none.*Choose a folder") as caught:
        write_whole(tmp_path / "none" / "a.txt", "x")
    assert "\n" not in str(caught.value)


def test_folder_as_target_is_said(tmp_path):
    with pytest.raises(UserError, match="it is a folder"):
        write_whole(tmp_path, "x")


def test_write_all_whole_writes_many_and_leaves_nothing_else(tmp_path):
    (tmp_path / "3").write_text("before")
    write_all_whole({tmp_path / str(n): str(n).encode() for n in range(40)})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(map(str, range(40)))
    assert (tmp_path / "3").read_bytes() == b"3"
    write_all_whole({})


def test_write_all_whole_takes_back_what_it_began(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="it is a folder"):
        write_all_whole({tmp_path / "a": b"x", tmp_path / "folder": b"y"})
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
