"""Why a contract refuses: its custom errors, by their names in the contracts and with the same labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from caduceus.errors import Refused
from caduceus.kinds import Stage


@dataclass(frozen=True, slots=True)
class Reason:
    """One refusal: a custom error and what it carries."""

    name: str
    labels: tuple[str, ...]
    values: tuple[Any, ...]

    def __str__(self) -> str:
        shown = (f"{label}={_show(value)}" for label, value in zip(self.labels, self.values, strict=True))
        return f"{self.name}({', '.join(shown)})"


@final
class Reverted(Refused):
    """A contract said no."""

    def __init__(self, reason: Reason, what: str = "the call") -> None:
        super().__init__(f"{what} reverted: {reason}")
        self.reason = reason
        self.what = what

    def of(self, what: str) -> Reverted:
        """The same refusal, of a named transaction."""
        return Reverted(self.reason, what)


@final
class Rule:
    """A custom error; calling it with its values gives what is raised."""

    __slots__ = ("labels", "name")

    def __init__(self, name: str, labels: str = "") -> None:
        """labels  what it carries, in order, with spaces between"""
        self.name = name
        self.labels = tuple(labels.split())

    def __call__(self, *values: object) -> Reverted:
        return Reverted(Reason(self.name, self.labels, values))


ALREADY_MEMBER = Rule("AlreadyMember", "account")
NOT_MEMBER = Rule("NotMember", "account")
ROLE_MISSING = Rule("RoleMissing", "account role")
ROLES_UNKNOWN = Rule("RolesUnknown", "roles")
KEY_MISSING = Rule("KeyMissing")

ENTITY_MISSING = Rule("EntityMissing")
ALREADY_VOUCHED = Rule("AlreadyVouched", "account entity")
VOUCH_MISSING = Rule("VouchMissing", "attester account")

COMMITMENT_MISSING = Rule("CommitmentMissing")
BUDGET_INCOMPLETE = Rule("BudgetIncomplete", "epsilonMicro deltaPico")
BUDGET_DIFFERS = Rule("BudgetDiffers", "epsilonMicro deltaPico")
BUDGET_APART = Rule("BudgetApart", "commitment")
ALREADY_SUPERSEDED = Rule("AlreadySuperseded", "dataset")
REPORT_MISSING = Rule("ReportMissing")
VERDICT_UNKNOWN = Rule("VerdictUnknown", "verdict")
READINESS_BELOW = Rule("ReadinessBelow", "dataset readiness asked")
DATASET_KNOWN = Rule("DatasetKnown", "dataset")
DATASET_INACTIVE = Rule("DatasetInactive", "dataset")
NOT_STEWARD = Rule("NotSteward", "dataset caller")
EXACT_SUMS_REFUSED = Rule("ExactSumsRefused", "dataset")
BUDGET_EXCEEDED = Rule("BudgetExceeded", "dataset epsilonMicro epsilonLeft deltaPico deltaLeft")

ROOT_MISSING = Rule("RootMissing")

OBSERVATION_OUT_OF_RANGE = Rule("ObservationOutOfRange", "good bad")
NO_SUCH_STANDING = Rule("ERC721NonexistentToken", "tokenId")

TOO_LITTLE_ALLOWED = Rule("ERC20InsufficientAllowance", "spender allowance needed")
TOO_LITTLE_HELD = Rule("ERC20InsufficientBalance", "sender balance needed")
PAYEE_IS_NOBODY = Rule("ERC20InvalidReceiver", "receiver")
NOTHING_TO_WITHDRAW = Rule("NothingToWithdraw", "token account")

JOB_KNOWN = Rule("JobKnown", "job")
TOKEN_MISSING = Rule("TokenMissing", "token")
COORDINATOR_MISSING = Rule("CoordinatorMissing")
SITES_OUT_OF_RANGE = Rule("SitesOutOfRange", "minSites maxSites")
ROUNDS_MISSING = Rule("RoundsMissing")
DURATION_MISSING = Rule("DurationMissing")
PRIVACY_INCOMPLETE = Rule("PrivacyIncomplete")
READINESS_UNKNOWN = Rule("ReadinessUnknown", "readiness")
WRONG_STAGE = Rule("WrongStage", "job stage")
DEADLINE_PASSED = Rule("DeadlinePassed", "deadline time")
DEADLINE_AHEAD = Rule("DeadlineAhead", "deadline time")
NOT_BUYER = Rule("NotBuyer", "caller buyer")
NOT_COORDINATOR = Rule("NotCoordinator", "caller coordinator")
NOT_SITE = Rule("NotSite", "caller site")
SEATS_TAKEN = Rule("SeatsTaken", "maxSites")
ALREADY_SEATED = Rule("AlreadySeated", "site seat")
NOT_VOUCHED = Rule("NotVouched", "site attester")
ENTITY_SEATED = Rule("EntitySeated", "entity seat")
SITES_MISSING = Rule("SitesMissing", "sites minSites")
ROUND_NOT_NEXT = Rule("RoundNotNext", "round next")
ROUNDS_OUT_OF_RANGE = Rule("RoundsOutOfRange", "rounds maxRounds")
NOTHING_ANCHORED = Rule("NothingAnchored")
PAYOUT_ABOVE_PRICE = Rule("PayoutAbovePrice", "payout price")
SIGNATURES_UNPAIRED = Rule("SignaturesUnpaired", "seats signatures")
QUORUM_MISSING = Rule("QuorumMissing", "signatures needed")
SEAT_UNKNOWN = Rule("SeatUnknown", "seat sites")
SEATS_UNORDERED = Rule("SeatsUnordered", "seat")
SIGNATURE_INVALID = Rule("SignatureInvalid", "seat")

PROOF_EMPTY = Rule("ProofEmpty")
PROOF_MISMATCH = Rule("ProofMismatch", "reached head")
PROOF_DEPTH_WRONG = Rule("ProofDepthWrong", "siblings depth")
POSITION_OUTSIDE_TREE = Rule("PositionOutsideTree", "position depth")
LEAF_NOT_IN_ROUND = Rule("LeafNotInRound", "round seat reached root")
LEAF_WELL_SIGNED = Rule("LeafWellSigned", "round seat")
SIGNATURE_NOT_IN_LEAF = Rule("SignatureNotInLeaf", "shown committed")
ROUND_UNKNOWN = Rule("RoundUnknown", "round rounds")
RECEIPT_INVALID = Rule("ReceiptInvalid", "round seat")
CHALLENGE_OPEN = Rule("ChallengeOpen", "seat")
CHALLENGE_MISSING = Rule("ChallengeMissing", "seat")
CHALLENGE_DIFFERS = Rule("ChallengeDiffers", "round leaf")
CHALLENGES_OPEN = Rule("ChallengesOpen", "count")

STAKE_GONE = Rule("StakeGone", "seat")
BODIES_EQUAL = Rule("BodiesEqual", "body")
NOTHING_TO_CLAIM = Rule("NothingToClaim", "job account")
CLAIM_UNKNOWN = Rule("ClaimUnknown", "index reached claims")
CLAIM_PAID = Rule("ClaimPaid", "index")
PAYOUT_EXHAUSTED = Rule("PayoutExhausted", "amount left")
ALREADY_RECORDED = Rule("AlreadyRecorded", "seat")
ENTITY_DIFFERS = Rule("EntityDiffers", "seat entity")
NOTHING_RESERVED = Rule("NothingReserved", "seat")
TERMS_DIFFER = Rule("TermsDiffer", "job reached")
SUMS_OUT_OF_RANGE = Rule("SumsOutOfRange", "sums most")
COST_UNKNOWN = Rule("CostUnknown", "sums reached costs")
COST_ABOVE_RESERVATION = Rule("CostAboveReservation", "epsilonMicro deltaPico")


def known() -> dict[str, Rule]:
    """Every custom error that is written down here, by its name."""
    return {rule.name: rule for rule in globals().values() if isinstance(rule, Rule)}


def _show(value: object) -> str:
    if isinstance(value, Stage):
        return value.name
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
