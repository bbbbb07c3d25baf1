"""A holder of a home's lock in a process of its own, so that it can be killed, paused and raced.

``python -m opengenome_assets_tests.storage.holder hold HOME NAME SECONDS`` takes the lock and says so, and then whether
it still has it, once for each line that it reads. With ``count`` it raises a counter in the home so many times instead.
"""

import sys
import time

from opengenome_assets.storage.files import read_bytes, write_bytes
from opengenome_assets.storage.lease import LostLeaseError
from opengenome_assets.storage.lock import only_writer


def say(words: str) -> None:
    print(words, flush=True)


def hold(home: str, name: str, time_to_live: float) -> None:
    with only_writer(home, name, say, time_to_live=time_to_live) as lease:
        say("held")
        for _ in sys.stdin:
            try:
                lease.refuse_lost()
            except LostLeaseError as error:
                say(str(error))
            else:
                say("still held")


def count(home: str, name: str, time_to_live: float, times: int) -> None:
    """Raise a counter by reading it and writing it, which loses a number whenever two do so at once."""
    for _ in range(times):
        with only_writer(home, name, lambda _: None, time_to_live=time_to_live) as lease:
            number = int(read_bytes(f"{home}/counter") or 0)
            time.sleep(0.01)
            lease.refuse_lost()
            write_bytes(f"{home}/counter", str(number + 1).encode())


if __name__ == "__main__":
    action, home, name, seconds, *times = sys.argv[1:]
    if action == "hold":
        hold(home, name, float(seconds))
    else:
        count(home, name, float(seconds), int(times[0]))
