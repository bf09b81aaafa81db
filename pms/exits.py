"""Exit codes of every command: what a supervisor or a script may rely on (README, exit codes).

Numbers from 64 on follow sysexits.h where it has a word for it. Restarting can't help after 64, 65, 77, 78 and 79.
"""

from __future__ import annotations

OK = 0
NO = 1  # it was answered, and the answer is no: a command refused, a chase not filled, a demo or records that disagree
ACTED = 2  # of `recover`: something was found, and done (with --dry-run: would be)
UNRESOLVED = 3  # of `recover`: something is left that nobody knows; its symbol takes no new risk
USAGE = 64
NEWER_DATA = 65  # records of a newer version
UNAVAILABLE = 69  # no Redis, no venue, or no set-up
BROKEN = 70  # an error of ours
DATA_DIR_IN_USE = 73
LEASE_HELD = 75  # another daemon holds the account: nothing was started
LEASE_LOST = 76  # another daemon has taken the account: this one stopped
AUTH = 77  # the keys, or an account that we can't serve: hedge mode, multi-assets mode, other assets than USDT
CONFIG = 78
FIRST_CONTACT = 79  # a live account that was never recovered: look at the plan first
NO_ANSWER = 124  # sent, and no answer in time: look at orders and algos before sending again
INTERRUPTED = 130
