"""A catalogue in a bucket: the same calls, on a local S3 server."""

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from moto.server import ThreadedMotoServer
from nautilus_trader.model.data import TradeTick

from amm500_catalog.cli import catalog_check
from amm500_catalog.cli import catalog_ls
from amm500_catalog.cli import catalog_query
from amm500_catalog.dataset import open_recorded
from amm500_catalog.dataset import open_simulated
from amm500_catalog.errors import InputError
from amm500_catalog.locking import object_lock
from amm500_catalog.store import CatalogStore
from amm500_catalog.tables import StreamTable


Streams = Callable[..., list[StreamTable]]
Manifest = Callable[..., dict[str, Any]]
ROOT = "s3://amm500-test/catalog"


@pytest.fixture(scope="module")
def options() -> Iterator[dict[str, Any]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    found = {
        "key": "test",
        "secret": "test",
        "endpoint_url": f"http://{host}:{port}",
        "client_kwargs": {"region_name": "us-east-1"},
        "skip_instance_cache": True,
    }
    httpx.put(f"http://{host}:{port}/amm500-test").raise_for_status()
    yield found
    server.stop()


def test_a_bucket_holds_a_catalogue(
    options: dict[str, Any], instrument: Any, make_streams: Streams, manifest: Manifest
) -> None:
    store = CatalogStore(ROOT, options)
    assert store.commit("a", make_streams(30), manifest(30), instruments=[instrument]).changed
    assert not store.commit("a", make_streams(30), manifest(30), instruments=[instrument]).changed
    with store.stage("sim") as staged:
        for stream in make_streams(10):
            staged.write(stream)
        staged.catalog.write_data([instrument])
        staged.publish(manifest(10, simulated=True))

    # another machine opens the same bucket
    other = CatalogStore(ROOT, options)
    assert other.repairs == ()
    assert other.labels() == ["sim"]
    assert list(other.manifests()) == ["a"]
    expected = sum(len(stream.table) for stream in make_streams(30))
    items = [item for batch in open_recorded(other, "a").batches() for item in batch]
    assert len(items) == expected
    assert [item.ts_init for item in items] == sorted(item.ts_init for item in items)
    assert sum(map(len, open_simulated(other, "sim").batches())) == sum(
        len(stream.table) for stream in make_streams(10)
    )

    listed = catalog_ls(ROOT, options)
    assert {row[0] for row in listed.rows} == {"real", "sim"}
    assert catalog_check(ROOT, options).is_sound
    assert catalog_query(
        ROOT, "SELECT dataset, count(*) FROM trades GROUP BY ALL ORDER BY 1", options
    ).rows == (
        ("real", 30),
        ("sim", 10),
    )


def test_a_bucket_s_half_written_import_is_finished_or_removed(
    options: dict[str, Any],
    instrument: Any,
    make_streams: Streams,
    manifest: Manifest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = "s3://amm500-test/killed"
    store = CatalogStore(root, options)
    store.commit("a", make_streams(10), manifest(10), instruments=[instrument])

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CatalogStore, "_apply", die)
        with pytest.raises(KeyboardInterrupt):
            store.commit("b", make_streams(20), manifest(20))
    repaired = CatalogStore(root, options)
    assert repaired.repairs == ("finished the interrupted import b",)
    (file,) = repaired.files(TradeTick, instrument.id.value)
    assert len(repaired.read_table(file.path)) == 20

    with monkeypatch.context() as patch:
        patch.setattr(CatalogStore, "_write_json", die)
        with pytest.raises(KeyboardInterrupt):
            repaired.commit("c", make_streams(40), manifest(40))
    again = CatalogStore(root, options)
    assert "removed a half-written import" in again.repairs[0]
    (file,) = again.files(TradeTick, instrument.id.value)
    assert len(again.read_table(file.path)) == 20


def test_two_machines_do_not_write_at_once(options: dict[str, Any]) -> None:
    fs = CatalogStore("s3://amm500-test/locked", options).fs
    path = "amm500-test/locked/.lock"
    with (
        object_lock(fs, path, timeout_s=5.0),
        pytest.raises(InputError, match="another process has been writing"),
        object_lock(fs, path, timeout_s=0.0),
    ):
        pass
    with object_lock(fs, path, timeout_s=0.0):
        pass
