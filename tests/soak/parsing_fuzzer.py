"""
Feed the readers of the venue's messages with damaged ones until something other than a record or PayloadError comes out.

A part of the inputs are bytes of a frame; the others choose a valid message and how it is broken. By chance from a seed, or guided by coverage
through ``guided_fuzzer``. Run: ``python -m tests.soak.parsing_fuzzer RUNS``. The last line is a JSON object with the counts; a failure ends the
process with another exit code.
"""

import json
import random
import sys
from collections import Counter

import msgspec

from hyperliquid_hip3.frames import parse_frame
from hyperliquid_hip3.readers import CHANNEL_READERS
from tests.adapter.venue_messages import MESSAGES
from tests.adapter.venue_messages import SAMPLES
from tests.adapter.venue_messages import attempt
from tests.adapter.venue_messages import broken
from tests.adapter.venue_messages import check_refusal
from tests.adapter.venue_messages import chooser
from tests.adapter.venue_messages import read_or_refuse


SEED = 7
FRAMES = [msgspec.json.encode({"channel": channel, "data": data}) for channel, data in MESSAGES]
counts = Counter()


def one(raw):
    """Read what these bytes stand for; whatever is raised here is a finding."""
    if raw[:1] >= b"\xc0":
        frame, refusal = attempt(parse_frame, raw[1:])
        reader = None if frame is None else CHANNEL_READERS.get(frame.channel)
        if refusal is not None:
            check_refusal(refusal)
            counts["no frame"] += 1
        elif reader is None:
            counts["of no channel"] += 1
        else:
            counts["frame read" if read_or_refuse(reader, frame.data) is not None else "frame refused"] += 1
        return
    choose = chooser(raw[1:])
    _, reader, message = SAMPLES[choose(len(SAMPLES))]
    record = read_or_refuse(reader, broken(message, choose))
    counts["message read" if record is not None else "message refused"] += 1


def seeds(draws):
    for frame in FRAMES:
        yield b"\xff" + frame
    for i in range(len(SAMPLES)):
        yield b"\x00" + i.to_bytes(2) + draws.randbytes(26)


def by_chance(runs, draws):
    for i in range(runs):
        if i % 4:
            one(b"\x00" + draws.randbytes(30))
        else:
            frame = bytearray(draws.choice(FRAMES))
            for _ in range(draws.randrange(1, 4)):
                at = draws.randrange(len(frame))
                frame[at : at + draws.randrange(3)] = draws.randbytes(draws.randrange(3))
                frame = frame or bytearray(b"{")
            one(b"\xff" + bytes(frame))


def report(*, guided):
    print(json.dumps({"guided": guided, "runs": sum(counts.values()), **counts}), flush=True)


if __name__ == "__main__":
    by_chance(int(sys.argv[1]), random.Random(SEED))
    report(guided=False)
