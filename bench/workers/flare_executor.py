"""What a site does in FLARE's plain federated averaging; FLARE loads this from the job's `custom` folder."""

from __future__ import annotations

from averaging_step import course, step
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.executor import Executor
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.np.constants import NPConstants


class LocalStep(Executor):  # type: ignore[misc]
    """Trains one epoch per task.

    folder  the course's, on this machine
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        """The site's new weights, with its number of rows as their weight."""
        round = int(shareable.get_header(AppConstants.CURRENT_ROUND))
        number = course(self._folder)["names"].index(fl_ctx.get_identity_name())
        weights, rows = step(self._folder, number, round, from_shareable(shareable).data[NPConstants.NUMPY_KEY])
        answer = DXO(DataKind.WEIGHTS, data={NPConstants.NUMPY_KEY: weights})
        answer.set_meta_prop(MetaKey.NUM_STEPS_CURRENT_ROUND, rows)
        return answer.to_shareable()
