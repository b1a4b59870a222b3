"""A backtest whose catalogue is a bucket on a local S3 server."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer

from amm500_catalog.cli import catalog_ls
from tests.end_to_end.market import EAGER
from tests.end_to_end.market import backtest
from tests.end_to_end.market import bar_lines
from tests.end_to_end.market import summary_of
from tests.end_to_end.market import write_bars


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    httpx.put(f"{url}/amm500-runs").raise_for_status()
    # credentials come from the environment, never from a run file
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    yield url
    server.stop()


@pytest.mark.slow
def test_a_run_from_a_bucket_equals_the_run_from_a_folder(endpoint: str, tmp_path: Path) -> None:
    bars = write_bars(tmp_path / "bars.csv", bar_lines(6))
    bucket = "s3://amm500-runs/catalog"
    options = f"data.storage_options={{endpoint_url: '{endpoint}'}}"
    assert backtest(bars, tmp_path / "store", tmp_path / "here", *EAGER) == 0
    more = [f"data.catalog={bucket}", options, *EAGER]
    assert backtest(bars, tmp_path / "unused", tmp_path / "there", *more) == 0
    here, there = summary_of(tmp_path / "here"), summary_of(tmp_path / "there")
    assert here["metrics"]["trades"] > 20
    assert there["result_hash"] == here["result_hash"]
    listed = catalog_ls(bucket, {"endpoint_url": endpoint})
    assert {row[1] for row in listed.rows} == {"real", "SIMULATED"}


def test_a_secret_in_the_run_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bars = write_bars(tmp_path / "bars.csv", bar_lines(2))
    assert backtest(bars, tmp_path / "store", tmp_path / "out", "data.storage_options={secret: hush}") == 2
    said = capsys.readouterr().err
    assert "credentials come from the environment" in said
    assert "hush" not in said.split("data.storage_options.secret")[-1]
