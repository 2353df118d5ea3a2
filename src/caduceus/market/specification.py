"""What a buyer asks for: the job's specification.

The specification is a public record; its digest is in the job's identifier on the chain, so nobody can
later claim that something else was asked for. It holds the schema and everything that decides what is
learned: whoever has it, the anchored sums and the chain can re-execute the job.
"""

from __future__ import annotations

from caduceus.canon import record, unpack
from caduceus.data.schema import Schema
from caduceus.data.use_request import UseRequest
from caduceus.errors import Refused
from caduceus.kinds import Address, Digest, Readiness, Tokens, Visibility
from caduceus.learn.inquiry.queries import Analysis
from caduceus.learn.judged.rows import Stratum
from caduceus.learn.spec import Learning
from caduceus.market.mechanism.rules import Rules
from caduceus.privacy.events import Spending

UNSTATED = Digest(bytes(32))
"""Stands for a job's code where none is stated; no site takes part in such a job."""

NONCE_BYTES = 16
"""Random bytes that make two otherwise equal specifications different jobs."""

SPEC_MOST = 1 << 20
"""Bytes of a specification that anybody reads: small ones of hostile shape would fill a memory once they are longer."""


@record("job/money/1")
class Money:
    """Whole units of the token that the job is paid in.

    price  what the buyer locks; what no site earns goes back
    fee    the coordinator's part of the price
    stake  what each site deposits when it enrols
    bond   what the coordinator deposits; forfeited to a site that it provably wronged
    """

    price: Tokens
    fee: Tokens
    stake: Tokens
    bond: Tokens


@record("job/deadlines/1")
class Deadlines:
    """Seconds.

    enrol      from funding until the coordinator must have started
    train      from the start until the settlement must be on the chain
    challenge  how long a settlement can be disputed
    exchange   how long a site may take to answer one message of a round
    """

    enrol: int
    train: int
    challenge: int
    exchange: int


@record("job/privacy/1")
class Privacy:
    """What a job spends of every data set's budget, and the noise for it.

    epsilon_micro    in millionths, what the whole run spends; the accountant of every steward and auditor adds up the
                     spending again and refuses a smaller number
    delta_pico       in millionths of a millionth
    missing_percent  share of the enrolled sites (of a group, where sums are over groups) whose noise may be missing
                     from a sum, because they fell silent or added none; that of the others is as much as is stated
    spending         everything that is opened, with its noise
    """

    epsilon_micro: int
    delta_pico: int
    missing_percent: int
    spending: Spending


@record("job/aggregator/1")
class Aggregator:
    """One of the three that hold shares of every update; each must be another organisation's.

    account  of the member that it is
    signer   secp256k1 address that signs its messages
    kem      X-Wing public key that shares are sealed for
    """

    account: Address
    signer: Address
    kem: bytes


@record("job/evaluator/1")
class Evaluator:
    """Somebody who is no site and judges updates by records of its own, such as the buyer, a regulator or an enclave.

    signer      secp256k1 address that signs its messages
    commitment  digest over its salted records and its patients' tags, fixed before anybody trains
    """

    account: Address
    signer: Address
    commitment: Digest


@record("job/judging/1")
class Judging:
    """How updates that nobody sees are judged.

    aggregators  three; none while a job is only planned
    evaluators   besides the sites, each of which judges the others by rows that it holds out
    strata       patients to look at apart, besides everyone else
    rules        of the mechanism that admits, weighs and pays
    """

    aggregators: tuple[Aggregator, ...]
    evaluators: tuple[Evaluator, ...]
    strata: tuple[Stratum, ...]
    rules: Rules


@record("job/spec/5")
class JobSpec:
    """A job as its buyer posted it.

    title         for people
    purpose       what the model is for; stewards' terms judge it
    nonce         random, `NONCE_BYTES`
    code          digest of the program that sites run on their records: theirs must be the same, and their stewards
                  must have allowed it
    visibility    what the job lets anyone see of single updates
    readiness     least verdict that a data set's steward must have published; UNSTATED asks for none
    cohort        least sites of a group whose sum is opened; 0 unless the visibility is COHORT
    schema        what the tables mean
    learning      what is learned from them; None if questions are asked
    analysis      what is asked about them; None if a model is learned
    privacy       differential privacy of all that is opened; None opens exact sums
    judging       how updates are judged, if the visibility is GRAM; else None
    min_sites     fewer sites than this, and nothing is trained
    max_sites     more are not enrolled
    spare_rounds  rounds that may fail (too many sites silent) before the job gives up
    use           what the job says of its use, for terms in the words of the Data Use Ontology; None if nothing
    """

    title: str
    purpose: str
    nonce: bytes
    code: Digest
    visibility: Visibility
    readiness: Readiness
    cohort: int
    schema: Schema
    learning: Learning | None
    analysis: Analysis | None
    privacy: Privacy | None
    judging: Judging | None
    min_sites: int
    max_sites: int
    spare_rounds: int
    money: Money
    deadlines: Deadlines
    use: UseRequest | None = None


def read_spec(blob: bytes) -> JobSpec:
    """A specification, from anybody.

    Raises Refused if it is longer than `SPEC_MOST`, or none.
    """
    if len(blob) > SPEC_MOST:
        raise Refused(f"a specification of {len(blob)} bytes; at most {SPEC_MOST} are read")
    return unpack(JobSpec, blob)
