"""Indexing on a cluster of processes: the files of a local run, whoever dies meanwhile."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from unittest.mock import patch

import cluster_preload
import pytest
from index_child import CONFIG, PIXELS, SmallHistogram, write_slide

from napari_medssl._errors import UserError
from napari_medssl.backend import cluster as cluster_module
from napari_medssl.backend import index_slides as verb
from napari_medssl.backend.cluster import ClusterPlace, parse_resources
from napari_medssl.backend.encoders import EncoderInfo
from napari_medssl.backend.index_config import IndexStopped
from napari_medssl.index import arrays

distributed = pytest.importorskip("distributed")

SIDE = 32 * PIXELS
SHARD = 256  # 4 shards of a slide, 8 batches each
TILES = 2 * 1024


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two slides and their library, indexed by this process alone."""
    folder = tmp_path_factory.mktemp("world")
    for number in range(2):
        write_slide(folder / f"{number}.png", seed=number, side=SIDE)
    with patch.object(arrays, "SHARD_ROWS", SHARD):
        index(folder, folder / "local")
    return folder


@pytest.fixture(scope="module")
def dask(world):
    """A cluster of two processes; one that was killed comes back, however long that takes."""
    import dask as dask_package

    # A worker that is away for longer than this is given up, not started again: 15 s by Dask's
    # own setting, which one may need on a loaded machine.
    patience = {"distributed.deploy.lost-worker-timeout": "1 hour"}
    with pytest.MonkeyPatch.context() as changed, dask_package.config.set(patience):
        changed.setenv(cluster_preload.SLOW, str(world / "slow"))
        changed.setenv(cluster_preload.DEADLY, str(world / "deadly"))
        with distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",  # a free port: another cluster may run beside
            resources={"SLOT": 2},
            preload=[cluster_preload.__file__],
        ) as made:
            yield made


@pytest.fixture
def place(dask):
    dask.wait_for_workers(2, timeout=60)  # one may have been killed
    return ClusterPlace(dask.scheduler_address, {})


@pytest.fixture
def slow(world):
    (world / "slow").touch()
    yield world / "slow"
    (world / "slow").unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(arrays, "SHARD_ROWS", SHARD)


def index(world, library, *, slides=("0.png", "1.png"), encoder=None, config=CONFIG, **more):
    encoder = encoder or SmallHistogram()
    with patch.object(verb, "make_encoder", lambda name, device: encoder):
        paths = [str(world / slide) for slide in slides]
        return verb.index_slides(paths, library, config, **more)


def files(library):
    """The bytes of every file of the finished slides; nothing else may be there."""
    (slides,) = library.glob("*.embeddings/slides")
    return {
        path.relative_to(slides).as_posix(): path.read_bytes()
        for path in slides.rglob("*")
        if path.is_file()
    }


def test_the_files_are_those_of_a_local_run(world, place, slow, tmp_path):
    told = []
    report = index(world, tmp_path / "library", cluster=place, on_progress=told.append)
    assert (report.tiles, len(report.indexed), report.failures) == (TILES, 2, [])
    assert files(tmp_path / "library") == files(world / "local")
    steps = [one.done for one in told if one.message.endswith("2 shards at a time")]
    assert steps == sorted(steps)
    assert any(step % SHARD for step in steps)  # within shards, too
    slow.unlink()
    again = index(world, tmp_path / "library", cluster=place)
    assert (again.tiles, len(again.skipped)) == (0, 2)


def test_only_what_workers_offer_is_handed_out(world, place, tmp_path):
    told = []
    index(
        world,
        tmp_path / "library",
        slides=("0.png",),
        cluster=replace(place, resources={"SLOT": 2}),
        on_progress=told.append,
    )
    assert any(one.message.endswith("2 shards at a time") for one in told)
    assert len(files(tmp_path / "library")) == len(files(world / "local")) / 2
    with pytest.raises(UserError, match="None of the 2 workers of the cluster offers SLOT=3"):
        index(world, tmp_path / "other", cluster=replace(place, resources={"SLOT": 3}))


def test_a_killed_worker_loses_and_doubles_nothing(world, dask, place, slow, tmp_path):
    killed = []

    def kill_one(progress):
        if progress.done >= SHARD and not killed:
            with distributed.Client(dask.scheduler_address, set_as_default=False) as client:
                killed.append(min(client.run(os.getpid).values()))
            os.kill(killed[0], signal.SIGKILL)
            slow.unlink()

    report = index(world, tmp_path / "library", cluster=place, on_progress=kill_one)
    assert killed
    assert report.tiles == TILES
    assert files(tmp_path / "library") == files(world / "local")


def test_stopped_it_ends_within_a_batch_and_goes_on(world, dask, place, slow, tmp_path):
    seen = []
    words = r"Stopped after \d+ tiles, 0 slides finished.*again"
    with pytest.raises(IndexStopped, match=words) as stopped:
        index(
            world,
            tmp_path / "library",
            cluster=place,
            on_progress=seen.append,
            # Two shards are under way at a time: at more tiles than theirs, one is written.
            should_stop=lambda: bool(seen) and seen[-1].done > 2 * SHARD,
        )
    written = int(str(stopped.value).split()[2])
    batches = slow.read_text().count("batch")
    with distributed.Client(dask.scheduler_address, set_as_default=False) as client:
        while any(client.run(executing).values()):
            time.sleep(0.02)
    assert slow.read_text().count("batch") <= batches + 2  # those that the workers were at
    slow.unlink()
    report = index(world, tmp_path / "library", cluster=place)
    assert written > 0
    assert report.tiles == TILES - written
    assert files(tmp_path / "library") == files(world / "local")


def executing(dask_worker):
    """How many tasks a worker is at."""
    return dask_worker.state.executing_count


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_a_killed_client_goes_on_where_it_was(world, place, slow, tmp_path):
    code = (
        "import sys; sys.path[:0] = sys.argv[1].split(';')\n"
        "import test_cluster as t; from pathlib import Path\n"
        "t.arrays.SHARD_ROWS = t.SHARD\n"
        "t.index(Path(sys.argv[2]), Path(sys.argv[3]), cluster=t.ClusterPlace(sys.argv[4], {}),\n"
        "        on_progress=lambda p: print(p.done, flush=True))\n"
    )
    library = tmp_path / "library"
    words = [";".join(sys.path), str(world), str(library), place.address]
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True
    ) as client:
        for line in client.stdout:
            if int(line) > 2 * SHARD:
                break
        client.kill()
    slow.unlink()
    report = index(world, library, cluster=place)
    assert 0 < report.tiles < TILES
    assert files(library) == files(world / "local")


def test_a_slide_that_no_worker_can_open_fails_alone(world, place, tmp_path):
    (world / "broken.png").write_bytes(b"no picture")
    report = index(world, tmp_path / "library", slides=("broken.png", "1.png"), cluster=place)
    ((path, reason),) = report.failures
    assert path == str(world / "broken.png")
    assert "Cannot open 'broken.png' as a slide" in reason
    assert "(worker tcp://" in reason
    assert len(report.indexed) == 1


class OtherWeights(SmallHistogram):
    """The encoder of the workers by name alone."""

    info = EncoderInfo(name="histogram", dim=512, pixels=PIXELS, sha256="ab" * 32)


def test_a_worker_with_another_encoder_or_version_is_refused(world, place, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"worker tcp://\S+ has other weights of encoder 'histog"):
        index(world, tmp_path / "a", encoder=OtherWeights(), cluster=place)
    monkeypatch.setattr(cluster_module, "__version__", "99.0")
    with pytest.raises(UserError, match=r"runs '.*' of napari-medssl, this machine runs '99.0'"):
        index(world, tmp_path / "b", cluster=place)


def test_what_no_cluster_offers_is_told(world, place, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="None of the 2 workers of the cluster offers GPU=1"):
        index(world, tmp_path / "a", cluster=replace(place, resources={"GPU": 1}))
    monkeypatch.setattr(cluster_module, "CONNECT_S", 0.3)
    with pytest.raises(UserError, match=r"No Dask scheduler answers at 'tcp://127.0.0.1:9'"):
        index(world, tmp_path / "a", cluster=replace(place, address="tcp://127.0.0.1:9"))
    with pytest.raises(UserError, match="No Dask scheduler answers at 'nowhere'"):
        index(world, tmp_path / "a", cluster=replace(place, address="nowhere"))
    with monkeypatch.context() as changed:

        def refuse(*args, **more):
            raise TypeError("TLS expects a `ssl_context` argument")

        changed.setattr(distributed, "Client", refuse)
        with pytest.raises(UserError, match=r"wants certificates.*Dask's TLS settings"):
            index(world, tmp_path / "a", cluster=replace(place, address="tls://127.0.0.1:9"))
        with pytest.raises(TypeError):
            index(world, tmp_path / "a", cluster=place)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r'pip install "napari-medssl\[cluster\]"'):
        index(world, tmp_path / "a", cluster=place)


def test_resources_are_names_with_amounts():
    assert parse_resources("GPU=1, MEMORY=4e9") == {"GPU": 1, "MEMORY": 4e9}
    assert parse_resources("") == {}
    for text in ("GPU", "GPU=none", "=1", "GPU=0", "GPU=inf"):
        with pytest.raises(UserError, match="due is NAME=AMOUNT, such as GPU=1"):
            parse_resources(text)


def test_a_cluster_without_workers_is_waited_for_and_may_be_stopped(world, tmp_path, monkeypatch):
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0") as empty:
        place = ClusterPlace(empty.scheduler_address, {})
        with pytest.raises(IndexStopped, match="before the cluster had a worker"):
            index(world, tmp_path / "library", cluster=place, should_stop=lambda: True)
        monkeypatch.setattr(cluster_module, "WAIT_FOR_WORKERS_S", 0.3)
        with pytest.raises(UserError, match=r"has no worker; 0 s were waited for one. Start some"):
            index(world, tmp_path / "library", cluster=place)


def test_a_slide_that_workers_die_of_fails_with_the_reason(world, dask, place, tmp_path):
    (world / "deadly").touch()
    allowed = dask.scheduler.allowed_failures
    dask.scheduler.allowed_failures = 0  # Dask lets four die, which takes their starts as well
    try:
        report = index(world, tmp_path / "library", slides=("0.png",), cluster=place)
    finally:
        dask.scheduler.allowed_failures = allowed
        (world / "deadly").unlink()
    ((path, reason),) = report.failures
    assert path == str(world / "0.png")
    assert "died of one task of it. They may have too little memory" in reason
    assert report.tiles == 0
    dask.wait_for_workers(2, timeout=60)
    assert index(world, tmp_path / "library", cluster=place).tiles == TILES
    assert files(tmp_path / "library") == files(world / "local")


def test_a_worker_that_joins_is_used(world, dask, place, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_module, "_LOOK_EVERY_S", 0.0)
    told = []

    def join(progress):
        if "2 shards at a time" in progress.message and len(dask.scheduler.workers) == 2:
            dask.scale(3)
            dask.wait_for_workers(3, timeout=60)
        told.append(progress.message)

    try:
        report = index(world, tmp_path / "library", cluster=place, on_progress=join)
        assert any("3 shards at a time" in message for message in told)
        assert report.tiles == TILES
        assert files(tmp_path / "library") == files(world / "local")
    finally:
        dask.scale(2)
        while len(dask.scheduler.workers) != 2:
            time.sleep(0.02)


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    """Options of Dask with one certificate for all, made here."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=medssl"]
    subprocess.run([openssl, *words, "-keyout", key, "-out", cert], check=True, capture_output=True)
    roles = {
        f"distributed.comm.tls.{role}.{part}": path
        for role in ("client", "scheduler", "worker")
        for part, path in (("key", key), ("cert", cert))
    }
    return {
        "distributed.comm.tls.ca-file": cert,
        "distributed.comm.require-encryption": True,
        **roles,
    }


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_with_certificates_and_after_its_scheduler_died(world, certified, tmp_path, monkeypatch):
    import dask as dask_package

    monkeypatch.setenv(cluster_preload.SLOW, str(tmp_path / "slow"))
    library = tmp_path / "library"
    with (
        dask_package.config.set({**certified, "distributed.comm.timeouts.connect": "30s"}),
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            dashboard_address=":0",
            protocol="tls://",
            security=distributed.Security(),
            preload=[cluster_preload.__file__],
        ) as made,
    ):
        place = ClusterPlace(made.scheduler_address, {})
        assert place.address.startswith("tls://")

        def stop_scheduler(progress):
            # Two shards are handed out at most: at more tiles than theirs, one is written.
            if progress.done > 2 * SHARD and made.scheduler.status.name == "running":
                made.sync(made.scheduler.close)

        with pytest.raises(IndexStopped, match=r"went away\. Start it again and give the same"):
            index(world, library, cluster=place, on_progress=stop_scheduler)
        for nanny in made.workers.values():
            nanny.auto_restart = False
            os.kill(nanny.pid, signal.SIGKILL)
        # What closes the cluster would look for the dead scheduler for half a minute.
        dask_package.config.set({"distributed.comm.timeouts.connect": "0.2s"})
    report = index(world, library)  # here: the files do not tell who made them
    assert 0 < report.tiles < TILES
    assert files(library) == files(world / "local")


def test_a_connection_that_cannot_be_closed_hides_no_outcome(place, monkeypatch):
    """As where the client meets a half-open TLS stream of a scheduler that went away."""
    close = distributed.Client.close

    def fail(client, *args, **keywords):
        close(client, *args, **keywords)
        raise ValueError("IOStream is not idle; cannot convert to SSL")

    monkeypatch.setattr(distributed.Client, "close", fail)
    with cluster_module.connected(place, "run"):
        pass
    with (
        pytest.raises(UserError, match="went away"),
        cluster_module.connected(place, "run"),
    ):
        raise UserError("The scheduler went away.")


def test_a_slide_that_workers_die_of_is_told():
    from distributed.scheduler import KilledWorker

    told = cluster_module._told(KilledWorker("task", None, 3))
    assert str(told).startswith("4 workers died of one task of it. They may have too little memory")
    absent = ModuleNotFoundError("No module", name="napari_medssl.backend")
    assert "A worker has no napari-medssl" in str(cluster_module._told(absent))
