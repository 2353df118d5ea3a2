"""The contracts' own tests once more, each call on the contracts and on the ledger."""

# ruff: noqa: F403

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "contracts"))

from test_budget import *
from test_claims import *
from test_datasets import *
from test_disputes import *
from test_forfeits import *
from test_members import *
from test_opening import *
from test_readiness import *
from test_remembering import *
from test_rounds import *
from test_settlement import *
from test_statuses import *
from test_taking_part import *
from test_versions import *
from test_vouches import *
