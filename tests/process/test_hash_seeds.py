"""Law 10 across processes: the same state and inputs give the same actions where Python hashes differently (algos.md).

TWAPs' plans are held against each other in test_twap.py.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.process.stack import ROOT

LIVED = """
import hashlib
import random
import msgspec
from tests.pure.algos.ladder import Ladder

dice = random.Random(7)
ladder = Ladder(child_count=5, skew="35", long_size_usd="700", max_position_usd="1500", min_fill_spread_pct="0.2",
                min_refill_delay_ms=300, max_fills_per_minute=9, neutral_mode=True, allow_loss=True)
for turn in range(300):
    ladder.move(990 + dice.randrange(20), 1011 + dice.randrange(4), after_ms=dice.choice((50, 400, 2500)))
    if ladder.resting() and dice.random() < 0.4:
        ladder.fill(dice.choice(ladder.resting()), dice.choice(("all", "0.02")))
    if turn % 60 == 59:
        ladder.restart()
said = [repr(one) for one in (*ladder.started, *ladder.amended, *ladder.stopped)]
whole = msgspec.json.encode(ladder.state) + "".join(said).encode()
print(len(said), ladder.state.total_fill_count, hashlib.sha256(whole).hexdigest(), hash("a string"))
"""


def _lived(hash_seed: str) -> list[str]:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", LIVED], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.split()


def test_a_scalper_and_its_chases_do_the_same_in_processes_that_hash_differently() -> None:
    (asked, fills, digest, hashed), (*other, hashed_otherwise) = _lived("1"), _lived("2")
    assert hashed != hashed_otherwise
    assert int(asked) >= 60
    assert int(fills) >= 30
    assert [asked, fills, digest] == other
