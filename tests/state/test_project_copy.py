"""A project is copied in a thread while somebody works in it: the copy has everything."""

from __future__ import annotations

import threading

import pytest

from napari_medssl._errors import UserError
from napari_medssl.io.boxes import Box
from napari_medssl.state.history import box_to_row
from napari_medssl.state.project import Project
from napari_medssl.state.project_copy import ProjectCopy
from napari_medssl.state.queue import ReviewState


@pytest.fixture
def project(tmp_path):
    project = Project.create(tmp_path / "a.medssl")
    keys = project.add_images((tmp_path / f"{number}.png", None) for number in range(4))
    for key in keys:
        project.store(key, (100, 100)).add(Box(1, 1, 20, 20))
    yield project
    project.close()


def content(project):
    return {
        key: (
            project.state(key),
            project.boxes(key),
            project.store(key).history.to_json(box_to_row),
        )
        for key in project
    }


def test_what_changed_during_the_copy_is_written_again(project, tmp_path):
    copy = ProjectCopy(project, tmp_path / "b.medssl")
    copy.write()
    first, second, third, _ = project.keys()
    project.store(first).add(Box(30, 30, 60, 60))
    project.set_state(second, ReviewState.DONE)
    project.remove([third])
    (new,) = project.add_images([(tmp_path / "new.png", None)])
    project.store(new, (50, 50)).add(Box(0, 0, 9, 9))
    project.use_model("mine")
    assert copy.finish() is None
    copy.write()
    target = copy.finish()
    assert content(target) == content(project)
    assert target.keys() == project.keys()
    target.close()
    with Project.open(tmp_path / "b.medssl") as again:
        assert content(again) == content(project)
        assert again.keys() == project.keys()
        assert again.model == "mine"


def test_only_what_changed_is_written_again(project, tmp_path):
    copy = ProjectCopy(project, tmp_path / "b.medssl")
    copy.write()
    files = {key: (tmp_path / "b.medssl" / "figures" / f"{key}.json") for key in project}
    before = {key: path.stat().st_mtime_ns for key, path in files.items()}
    changed = project.keys()[1]
    project.store(changed).add(Box(30, 30, 60, 60))
    copy.write()
    after = {key: path.stat().st_mtime_ns for key, path in files.items()}
    assert [key for key in project if before[key] != after[key]] == [changed]
    copy.finish().close()


def test_the_copy_is_edited_like_any_project(project, tmp_path):
    copy = ProjectCopy(project, tmp_path / "b.medssl")
    copy.write()
    target = copy.finish()
    key = target.keys()[0]
    target.store(key).add(Box(50, 50, 70, 70))
    target.leave()  # the journal alone
    with Project.open(tmp_path / "b.medssl") as again:
        assert len(again.store(key)) == 2
        assert len(project.store(key)) == 1


def test_a_project_edited_in_another_thread_is_copied_whole(project, tmp_path):
    """Boxes come and go as fast as they can while they are read."""
    ends = threading.Event()
    copy = ProjectCopy(project, tmp_path / "b.medssl")
    thread = threading.Thread(target=lambda: (copy.write(), ends.set()))
    thread.start()
    while not ends.is_set():
        for key in project:
            (box,) = project.store(key).add(Box(2, 2, 50, 50))
            project.store(key).remove([box])
    thread.join()
    while (target := copy.finish()) is None:
        copy.write()
    assert content(target) == content(project)
    target.close()


def test_a_place_that_is_taken_is_refused_and_left_alone(project, tmp_path):
    (tmp_path / "b.medssl").mkdir()
    (tmp_path / "b.medssl" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        ProjectCopy(project, tmp_path / "b.medssl").write()
    assert (tmp_path / "b.medssl" / "mine.txt").read_text() == "mine"


def test_a_copy_that_fails_leaves_nothing_behind(project, tmp_path, monkeypatch):
    def refuse(*_):
        raise UserError("Cannot write 'x': disk full.")

    copy = ProjectCopy(project, tmp_path / "b.medssl")
    monkeypatch.setattr("napari_medssl.state.project.write_all_whole", refuse)
    with pytest.raises(UserError, match="disk full"):
        copy.write()
    monkeypatch.undo()
    assert not (tmp_path / "b.medssl").exists()
    copy.write()  # the disk is free again
    target = copy.finish()
    assert content(target) == content(project)
    target.close()


def test_leaving_keeps_the_changes_in_the_journal(project):
    key = project.keys()[0]
    project.leave()
    assert project.is_closed
    project.leave()  # twice is no fault
    with Project.open(project.folder) as again:
        assert len(again.store(key)) == 1


def test_a_picture_that_cannot_be_copied_is_told_in_a_line(tmp_path, monkeypatch):
    def refuse(*_args):
        raise OSError(28, "No space left on device")

    with Project.create(tmp_path / "a.medssl") as project:
        inside = project.folder / "pages" / "figure.png"
        inside.parent.mkdir()
        inside.write_bytes(b"picture")
        project.add_images([(inside, None)])
        monkeypatch.setattr("napari_medssl.state.project.shutil.copy2", refuse)
        copy = ProjectCopy(project, tmp_path / "b.medssl")
        with pytest.raises(UserError, match=r"'figure.png' cannot be copied.* No space left"):
            copy.write()
    assert not (tmp_path / "b.medssl").exists()
