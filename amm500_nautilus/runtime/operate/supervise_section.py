"""The run file's ``supervise``: when a node counts as hung, what crashes lead to, and the key of the direct commands."""

from typing import Annotated
from typing import Literal

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field

from amm500_nautilus.monitor.supervisor import SuperviseSettings
from amm500_nautilus.runtime.node.signer_section import SignerSection


class SuperviseSection(BaseModel):
    """
    How ``amm500 supervise`` looks after a node, and how ``amm500 cancel --direct`` and ``flatten --direct`` sign.

    ``silence_secs`` without a sign of life kill a node that runs; it has ``start_secs`` to come up, ``stop_secs`` to end in good order
    and ``end_secs`` for its report. ``crashes`` within ``window_secs`` give it up: its orders are canceled, and ``on_give_up`` says what
    becomes of the position (testnet and live). Before a restart it waits ``pause_secs``, twice as long each time. ``direct_signer`` is
    where the key of a second agent is; without it the direct commands sign with the node's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    silence_secs: Annotated[float, Field(ge=2, le=600)] = 10.0
    start_secs: Annotated[float, Field(ge=5, le=3_600)] = 150.0
    end_secs: Annotated[float, Field(ge=5, le=3_600)] = 180.0
    stop_secs: Annotated[float, Field(ge=5, le=3_600)] = 120.0
    crashes: Annotated[int, Field(ge=1, le=20)] = 5
    window_secs: Annotated[float, Field(ge=60, le=86_400)] = 3_600.0
    pause_secs: Annotated[float, Field(ge=0.1, le=600)] = 1.0
    on_give_up: Literal["hold", "flatten"] = "hold"
    direct_signer: SignerSection | None = None

    def settings(self) -> SuperviseSettings:
        """Return what the supervisor goes by."""
        return SuperviseSettings(**self.model_dump(exclude={"direct_signer"}))
