"""The same as ``parsing_fuzzer``, guided by the coverage of the adapter's code: ``python -m tests.soak.guided_fuzzer RUNS FOLDER``."""

import random
import sys
from pathlib import Path

import atheris


with atheris.instrument_imports(include=["hyperliquid_hip3"]):
    from tests.soak import parsing_fuzzer


LONGEST = 2_048


def main(runs, folder):
    def counted(raw):
        parsing_fuzzer.one(raw)
        # the fuzzer ends the process by itself
        if sum(parsing_fuzzer.counts.values()) == runs:
            parsing_fuzzer.report(guided=True)

    for i, seed in enumerate(parsing_fuzzer.seeds(random.Random(parsing_fuzzer.SEED))):
        (folder / f"{i:03}").write_bytes(seed)
    options = [f"-runs={runs}", f"-seed={parsing_fuzzer.SEED}", f"-max_len={LONGEST}"]
    # what breaks a reader is kept beside the seeds
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/found-", str(folder)], counted)
    atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
