"""Projects: saved as they change, one program at a time, nothing lost when files are damaged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from napari_medssl._errors import UserError
from napari_medssl.io.boxes import Box
from napari_medssl.state import drafts
from napari_medssl.state.figure import fingerprint_of
from napari_medssl.state.journal import Journal
from napari_medssl.state.project import Project
from napari_medssl.state.project_files import ProjectDamagedError
from napari_medssl.state.queue import ReviewState


@pytest.fixture
def images(tmp_path):
    paths = []
    for name in ("a.png", "b.png"):
        path = tmp_path / "figures" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode() * 100)
        paths.append(path)
    return paths


@pytest.fixture
def project(tmp_path, images):
    project = Project.create(tmp_path / "job.medssl")
    project.add_images([(path, None) for path in images])
    yield project
    project.close()


def crash(project: Project) -> None:
    """Leave the files as a kill would: journal written, nothing else."""
    assert project.flush()
    project._journal.close()
    project._lock.release()
    project._journal = None


def test_project_is_read_back_with_history(project):
    a, b = project.keys()
    store = project.store(a, (100, 80))
    (box,) = store.add(Box(1, 2, 30, 40, 0.5, "a"))
    store.move([box], 5, 5)
    project.set_state(b, ReviewState.UNSURE)
    project.close()
    with Project.open(project.folder) as again:
        assert again.keys() == (a, b)
        assert again.boxes(a) == (Box(6, 7, 35, 45, 0.5, "a"),)
        assert again.state(b) == ReviewState.UNSURE
        again.store(a).undo()
        assert again.boxes(a) == (Box(1, 2, 30, 40, 0.5, "a"),)
        again.store(a).undo()
        again.store(a).redo()
        assert len(again.boxes(a)) == 1


def test_crash_loses_nothing_that_was_journalled(project):
    a, b = project.keys()
    project.save()
    store = project.store(a, (100, 80))
    store.add(Box(0, 0, 10, 10))
    store.add(Box(20, 0, 30, 10))
    store.undo()
    project.set_state(a, ReviewState.DONE)
    project.remove([b])
    crash(project)
    with Project.open(project.folder) as again:
        assert again.keys() == (a,)
        assert again.boxes(a) == (Box(0, 0, 10, 10),)
        assert again.state(a) == ReviewState.DONE
        again.store(a).redo()
        assert len(again.boxes(a)) == 2
    assert len(list((project.folder / "removed").iterdir())) == 1


def test_save_cut_short_before_the_journal_is_emptied_repeats_nothing(project, monkeypatch):
    a, _ = project.keys()
    project.store(a, (100, 80)).add(Box(0, 0, 10, 10))
    monkeypatch.setattr(Journal, "compact", lambda self: None)
    project.save()
    crash(project)
    monkeypatch.undo()
    with Project.open(project.folder) as again:
        assert again.boxes(a) == (Box(0, 0, 10, 10),)
        assert len(again.store(a).history) == 1


def test_save_cut_short_before_the_header_keeps_new_figures(project, images, tmp_path):
    (tmp_path / "project.json").write_bytes((project.folder / "project.json").read_bytes())
    journal = project.folder / "journal.jsonl"
    a, _ = project.keys()
    project.store(a, (100, 80)).add(Box(0, 0, 10, 10))
    assert project.flush()
    lines = journal.read_bytes()
    project.save()
    crash(project)
    shutil.copy(tmp_path / "project.json", project.folder / "project.json")
    journal.write_bytes(lines)
    with Project.open(project.folder) as again:
        assert len(again) == 2
        assert again.boxes(a) == (Box(0, 0, 10, 10),)


def test_keys_are_not_used_again_after_removal(project, tmp_path):
    a, b = project.keys()
    project.remove([b])
    project.close()
    with Project.open(project.folder) as again:
        (key,) = again.add_images([(tmp_path / "c.png", None)])
        assert key not in (a, b)


def test_paths_beside_the_project_move_with_it(project, tmp_path):
    a, _ = project.keys()
    assert project.info(a).path == "figures/a.png"
    project.close()
    shutil.copytree(tmp_path, tmp_path.with_name("elsewhere"))
    try:
        with Project.open(tmp_path.with_name("elsewhere") / "job.medssl") as moved:
            assert moved.path(a) == tmp_path.with_name("elsewhere") / "figures" / "a.png"
    finally:
        shutil.rmtree(tmp_path.with_name("elsewhere"))


def test_missing_image_says_where_it_was(project, images):
    images[0].unlink()
    with pytest.raises(UserError, match=r"a\.png' is gone"):
        project.path(project.keys()[0])


def test_adding_an_image_twice_gives_the_same_figure(project, images):
    assert project.add_images([(images[0], None), (images[0], 2)])[0] == project.keys()[0]
    assert len(project) == 3
    assert project.info(project.keys()[2]).name == "a.png#page=2"
    assert project.find(images[0], 2) == project.keys()[2]


def test_image_of_another_size_is_refused(project):
    a, _ = project.keys()
    project.store(a, (100, 80))
    with pytest.raises(UserError, match="is 90 x 80 px now but was 100 x 80 px"):
        project.store(a, (90, 80))


def test_size_is_needed_the_first_time(project):
    with pytest.raises(ValueError, match=r"size of 'a\.png' is not known"):
        project.store(project.keys()[0])


def test_second_opener_is_told_who_has_it(project):
    with pytest.raises(UserError, match=r"open in another window or program \(process \d+ on"):
        Project.open(project.folder)


def test_second_process_is_kept_out_and_gets_in_afterwards(project):
    code = (
        "import sys; from napari_medssl.state.project import Project\n"
        "from napari_medssl._errors import UserError\n"
        "try: Project.open(sys.argv[1]).close()\n"
        "except UserError as error: sys.exit(7)\n"
    )
    command = [sys.executable, "-c", code, str(project.folder)]
    assert subprocess.run(command, check=False).returncode == 7
    project.close()
    assert subprocess.run(command, check=False).returncode == 0


def test_lock_of_a_killed_process_is_no_obstacle(project):
    code = (
        "import os, sys; from napari_medssl.state.project import Project\n"
        "Project.open(sys.argv[1]); os.kill(os.getpid(), 9)\n"
    )
    project.close()
    subprocess.run([sys.executable, "-c", code, str(project.folder)], check=False)
    assert b"pid" in (project.folder / "lock").read_bytes()
    Project.open(project.folder).close()


def test_folder_that_is_no_project_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no project.json"):
        Project.open(tmp_path)


def test_existing_place_is_not_overwritten(project):
    with pytest.raises(UserError, match="exists already"):
        Project.create(project.folder)


def test_newer_version_is_refused(project):
    project.close()
    path = project.folder / "project.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))
    with pytest.raises(UserError, match=r"version 99, this program reads up to 1\. Update"):
        Project.open(project.folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"info": 3}', b"\xff\xfe", b"null"])
def test_damaged_figure_is_told_kept_and_the_rest_goes_on(project, content):
    a, b = project.keys()
    project.store(a, (10, 10)).add(Box(0, 0, 5, 5))
    project.close()
    (project.folder / "figures" / f"{b}.json").write_bytes(content)
    with pytest.raises(ProjectDamagedError, match=f"cannot read figures/{b}.json"):
        Project.open(project.folder)
    with Project.open(project.folder, repair=True) as again:
        assert again.keys() == (a,)
        assert len(again.boxes(a)) == 1
    kept = [path.read_bytes() for path in (project.folder / "damaged").glob(f"{b}-*.json")]
    assert content in kept
    Project.open(project.folder).close()


def test_damaged_header_is_made_again_from_the_figures(project):
    keys = project.keys()
    project.close()
    (project.folder / "project.json").write_text("{")
    with pytest.raises(ProjectDamagedError, match=r"cannot read project\.json"):
        Project.open(project.folder)
    with Project.open(project.folder, repair=True) as again:
        assert again.keys() == keys
    Project.open(project.folder).close()


def test_damaged_line_of_the_journal_keeps_the_others(project):
    a, _ = project.keys()
    project.save()
    project.set_state(a, ReviewState.DONE)
    project.set_state(a, ReviewState.UNSURE)
    crash(project)
    journal = project.folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"x" + lines[0] + lines[1])
    with pytest.raises(ProjectDamagedError, match=r"journal\.jsonl"):
        Project.open(project.folder)
    with Project.open(project.folder, repair=True) as again:
        assert again.state(a) == ReviewState.UNSURE


def test_torn_last_line_is_no_damage(project):
    a, _ = project.keys()
    project.save()
    project.set_state(a, ReviewState.DONE)
    crash(project)
    with (project.folder / "journal.jsonl").open("ab") as stream:
        stream.write(b"123 abc")
    with Project.open(project.folder) as again:
        assert again.state(a) == ReviewState.DONE


def test_save_as_moves_on_to_the_new_folder(project, tmp_path, images):
    a, _ = project.keys()
    project.store(a, (10, 10)).add(Box(0, 0, 5, 5))
    old = project.folder
    (tmp_path / "deep").mkdir()
    with project.save_as(tmp_path / "deep" / "new.medssl") as moved:
        assert moved.path(a) == images[0]
        moved.store(a).undo()
        assert moved.boxes(a) == ()
    with Project.open(old) as former:
        assert len(former.boxes(a)) == 1


def test_events_tell_what_changed(project, tmp_path):
    heard = []
    project.figures_changed.connect(lambda keys: heard.append(("figures", keys)))
    project.state_changed.connect(lambda key: heard.append(("state", key)))
    project.boxes_changed.connect(lambda key: heard.append(("boxes", key)))
    a, b = project.keys()
    project.set_state(a, ReviewState.DONE)
    project.set_state(a, ReviewState.DONE)
    project.store(a, (10, 10)).add(Box(0, 0, 5, 5))
    project.remove([b])
    assert heard == [("state", a), ("boxes", a), ("figures", (b,))]


def test_image_boxes_are_those_of_the_states_asked_for(project):
    a, b = project.keys()
    project.store(a, (10, 12)).add(Box(0, 0, 5, 5))
    project.store(b, (10, 10))
    project.set_state(a, ReviewState.DONE)
    (only,) = project.image_boxes([ReviewState.DONE])
    assert (only.file_name, only.width, only.height) == ("a.png", 10, 12)
    assert only.boxes == (Box(0, 0, 5, 5),)
    assert len(project.image_boxes()) == 2


def test_closed_project_takes_no_edit(project):
    a, _ = project.keys()
    project.close()
    project.close()
    with pytest.raises(RuntimeError, match="is closed"):
        project.set_state(a, ReviewState.DONE)


def test_fingerprint_tells_files_apart(images, tmp_path):
    assert fingerprint_of(images[0]) != fingerprint_of(images[1])
    assert fingerprint_of(tmp_path / "none") == ""


def test_draft_of_a_crashed_program_is_found_again(tmp_path):
    first, second = drafts.new_draft(tmp_path), drafts.new_draft(tmp_path)
    assert drafts.left_drafts(tmp_path) == []
    first.add_images([(tmp_path / "figure.png", None)], {tmp_path / "figure.png": ""})
    first.close()
    assert drafts.left_drafts(tmp_path) == [first.folder]
    drafts.discard_draft(first.folder)
    assert drafts.left_drafts(tmp_path) == []
    with pytest.raises(UserError, match="open in another"):
        drafts.discard_draft(second.folder)
    second.close()


def test_a_draft_that_cannot_be_deleted_is_told_in_a_line(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    draft = drafts.new_draft(tmp_path)
    draft.close()
    monkeypatch.setattr("napari_medssl.state.drafts.shutil.rmtree", refuse)
    with pytest.raises(UserError, match=r"cannot be deleted: .*Permission denied.* by hand"):
        drafts.discard_draft(draft.folder)


def test_a_draft_in_which_nothing_was_done_is_not_offered_again(tmp_path):
    drafts.new_draft(tmp_path).close()
    assert drafts.left_drafts(tmp_path) == []


def test_old_drafts_that_hold_nothing_are_deleted(tmp_path):
    empty, opened, edited, fresh = (drafts.new_draft(tmp_path) for _ in range(4))
    for project in (empty, edited, fresh):
        project.close()
    with Project.open(edited.folder) as project:
        project.use_model("mine")
    (tmp_path / "other").mkdir()
    for folder in (empty.folder, opened.folder, edited.folder):
        os.utime(folder, (0, 0))
    assert drafts.clear_empty_drafts(tmp_path) == 1
    assert not empty.folder.exists()
    for folder in (opened.folder, edited.folder, fresh.folder, tmp_path / "other"):
        assert folder.is_dir()
    opened.close()
    assert len(Project.open(opened.folder)) == 0


@pytest.mark.parametrize("name", ["figures/000001.json", "images", "removed", "notes.txt"])
def test_a_draft_with_anything_else_in_it_stays(tmp_path, name):
    draft = drafts.new_draft(tmp_path)
    draft.close()
    (draft.folder / name).write_text("mine")
    before = sorted(draft.folder.rglob("*"))
    assert not drafts.clear_if_empty(draft.folder)
    assert sorted(draft.folder.rglob("*")) == before


def test_a_draft_whose_figure_was_taken_off_stays(tmp_path):
    draft = drafts.new_draft(tmp_path)
    keys = draft.add_images([(tmp_path / "figure.png", None)], {tmp_path / "figure.png": ""})
    draft.remove(keys)
    draft.close()
    assert not drafts.clear_if_empty(draft.folder)


def test_save_as_leaves_the_former_project_whole(tmp_path):
    with Project.create(tmp_path / "a.medssl") as project:
        (key,) = project.add_images([(tmp_path / "fig.png", None)], {tmp_path / "fig.png": ""})
        project.store(key, (100, 80)).add(Box(1, 2, 30, 40))
        project.save_as(tmp_path / "b.medssl").close()
    for name in ("a.medssl", "b.medssl"):
        with Project.open(tmp_path / name) as opened:
            assert opened.boxes(key) == (Box(1, 2, 30, 40),)
