"""What the parts of "Landmarks" are told while the images of a set are read."""

from napari_medssl.state.landmark_folder import LandmarkFolder
from napari_medssl.state.landmark_items import LandmarkImage
from napari_medssl.widgets.landmarks.session import LandmarkSession


def test_the_size_of_an_image_is_no_change_of_the_list(tmp_path):
    session, told = LandmarkSession(), []
    with LandmarkFolder.open(tmp_path / "set.landmarks") as folder:
        session.use(folder)
        session.list_changed.connect(lambda: told.append("list"))
        session.items_changed.connect(lambda edit: told.append("items"))
        first, second = folder.store.add_images(
            [LandmarkImage(f"{n}.png", f"/data/{n}.png") for n in range(2)]
        )
        assert told == ["list", "items"]
        told.clear()
        folder.store.note_size(first, 100, 80)
        assert told == ["items"]
        assert folder.store.image(first).width == 100
        for change in (
            lambda: folder.store.set_spacing([first], (0.1, 0.1)),
            lambda: folder.store.add_name("Nasion"),
            lambda: folder.store.remove_images([second]),
        ):
            told.clear()
            change()
            assert told == ["list", "items"]
        told.clear()
        folder.store.place(first, folder.store.names()[0], 10.0, 20.0)
        assert "list" not in told
