"""A project remembers the models that it has used."""

from __future__ import annotations

import pytest

from napari_medssl._errors import UserError
from napari_medssl.state.project import Project
from napari_medssl.state.project_files import load_project


@pytest.fixture
def folder(tmp_path):
    with Project.create(tmp_path / "a.medssl") as project:
        return project.folder


def test_models_are_remembered_and_reverted(folder):
    heard = []
    with Project.open(folder) as project:
        assert project.model == ""
        project.model_changed.connect(heard.append)
        project.use_model("one")
        project.use_model("two")
        project.use_model("two")
    with Project.open(folder) as project:
        assert project.models == ("one", "two")
        assert project.revert_model() == "one"
    with Project.open(folder) as project:
        assert project.model == "one"
        assert project.revert_model() == ""
        with pytest.raises(UserError, match="none to go back to"):
            project.revert_model()
    assert heard == ["one", "two"]


def test_the_choice_of_a_model_survives_a_kill(folder):
    project = Project.open(folder)
    project.use_model("one")
    project.flush()
    assert load_project(folder).models == ("one",)  # as the next start would read it
    project.save()
    assert load_project(folder).models == ("one",)
    project.close()


def test_a_copy_uses_the_same_model(folder, tmp_path):
    project = Project.open(folder)
    project.use_model("one")
    with project.save_as(tmp_path / "b.medssl") as copy:
        assert copy.models == ("one",)
    assert load_project(tmp_path / "b.medssl").models == ("one",)


def test_a_project_of_an_earlier_version_has_used_no_model(folder):
    header = folder / "project.json"
    header.write_text(header.read_text().replace('"models": []', '"other": 1'))
    with Project.open(folder) as project:
        assert project.models == ()
