// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Entry, RoundProof} from "./RollingHead.sol";

/// @notice Where a job stands. Every stage but the last three ends at its deadline, and then anyone can move it on.
enum Stage {
    NONE,
    OPEN,
    FUNDED,
    ENROLLING,
    TRAINING,
    SETTLING,
    COMPLETED,
    REJECTED,
    EXPIRED
}

/// @notice What a buyer opens a job with. Durations are seconds, amounts are smallest token units. The last four before
/// the specification are the job's differential privacy, and all zero where it opens exact sums.
struct Terms {
    /// The ERC-20 in which price, stakes and bond are paid.
    address token;
    /// What the buyer pays at most; what the settlement leaves over goes back.
    uint96 price;
    /// The one account that may coordinate.
    address coordinator;
    /// In whose word each site must be a legal entity, one seat an entity; zero asks for no such word.
    address attester;
    /// What each site puts down, and loses on evidence that it broke the protocol.
    uint96 stake;
    /// What the coordinator puts down; it goes to the harmed site if the job is rejected.
    uint96 bond;
    /// Training may start with this many sites.
    uint16 minSites;
    /// No more seats than this.
    uint16 maxSites;
    /// No more rounds than this.
    uint16 maxRounds;
    /// How long each of the stages open, funded and enrolling may last.
    uint32 enrolFor;
    /// How long training may last, settlement included.
    uint32 trainFor;
    /// How long a settlement can be disputed, and how long the coordinator has to answer a challenge.
    uint32 challengeFor;
    /// The least verdict that must have been stated of each site's data set, see `Readiness`; 0 asks for none.
    uint8 readiness;
    /// What a whole run spends of each site's privacy budget, in millionths of epsilon.
    uint64 epsilonMicro;
    /// The same in millionths of a millionth of delta.
    uint64 deltaPico;
    /// How many sums a whole run opens.
    uint16 sums;
    /// Merkle root over leaves of `Cost`, by their number of sums: 0, 1, ... `sums`.
    bytes32 costs;
    /// Digest of the job specification's canonical bytes, which hold a nonce.
    bytes32 spec;
}

/// @notice What is spent of a seat's privacy budget once so many sums have been opened.
struct Cost {
    uint256 sums;
    uint256 epsilonMicro;
    uint256 deltaPico;
}

/// @notice A job as it stands; packed so that opening one writes four slots, or five if it spends privacy, and anchoring
/// reads one.
struct Job {
    address coordinator;
    Stage stage;
    /// Unix seconds; the last moment at which the present stage's own moves are allowed.
    uint40 deadline;
    uint16 maxRounds;
    uint16 sites;
    uint16 minSites;
    address buyer;
    uint96 price;
    address token;
    uint96 stake;
    uint96 bond;
    uint16 maxSites;
    uint32 enrolFor;
    uint32 trainFor;
    uint32 challengeFor;
    /// Omission challenges that wait for an answer.
    uint16 openChallenges;
    /// True while the coordinator's bond is here and promised to the coordinator.
    bool bondHeld;
    /// How many sums a whole run opens; 0 where they are exact.
    uint16 sums;
    /// The least verdict that must have been stated of each site's data set; 0 asks for none.
    uint8 readiness;
    /// The coordinator's signer as it was when it accepted.
    address coordinatorSigner;
    /// What the settlement gives to the sites together.
    uint96 payout;
    /// See `RollingHead`; its low 16 bits are the number of rounds.
    bytes32 head;
    /// Merkle root over the settlement's claims.
    bytes32 claims;
    /// How much of `payout` has been claimed.
    uint96 paid;
    /// What enrolling reserves of a site's privacy budget; 0 where the job opens exact sums.
    uint64 epsilonMicro;
    /// The same of delta.
    uint64 deltaPico;
    /// How many of the stakes that are here the settlement forfeits.
    uint16 forfeits;
    /// In whose word each site is a legal entity; zero where none is asked for.
    address attester;
}

/// @notice A site's seat; `signer` is as it was when the site enrolled.
struct Seat {
    address site;
    address signer;
    /// True while the site's stake is here and has not been shown to be forfeited by equivocation.
    bool stakeHeld;
    /// True if the settlement forfeits the stake; that counts once the settlement stands.
    bool slashed;
    /// True if the site was shown to have signed two uploads for one round.
    bool equivocated;
    /// True once the job was entered in the site's standing.
    bool recorded;
    /// The data set whose privacy budget the job holds a reservation of; zero where there is none, or none any more.
    bytes32 reserved;
}

/// @notice A site's open complaint that a round leaves out an upload for which it holds a receipt.
struct Challenge {
    /// The leaf in the receipt.
    bytes32 leaf;
    uint16 round;
    /// Unix seconds until which an answer is accepted; zero where no challenge is open.
    uint40 deadline;
}

/// @title Paid training jobs: escrow, enrolment, anchored rounds, settlement, disputes, claims
/// @notice
///     OPEN -fund-> FUNDED -accept-> ENROLLING -start-> TRAINING -settle-> SETTLING -complete-> COMPLETED
///     OPEN, FUNDED -cancel-> EXPIRED;  OPEN .. TRAINING -expire-> EXPIRED;
///     SETTLING -disputeLeaf, upholdOmission-> REJECTED
/// A stake is forfeited on evidence of a broken protocol only: by anyone who shows two signed uploads for one round, or by
/// the quorum that settles, for what the anchored record shows. It goes to nobody: it is credited to address zero.
/// Every payment out is pulled: stakes, bonds and rewards by `claim`, refunds and forfeits by `withdraw`. Nobody, not
/// even a deployer, has a say over anybody else's money. In the functions below `id` is a job's and `number` a seat's.
interface IJobs {
    // ------------------------------------------------------------------ what happened

    /// @notice A buyer asks. The state keeps every other term, and `job` commits to all of them.
    event JobOpened(
        bytes32 indexed job, address indexed buyer, address indexed coordinator, bytes32 costs, bytes32 spec
    );
    /// @notice The price is in escrow.
    event JobFunded(bytes32 indexed job);
    /// @notice The coordinator took the job and will sign with `signer`.
    event JobAccepted(bytes32 indexed job, address indexed coordinator, address signer);
    /// @notice A site took a seat; `signer` and `agreementKey` are the ones that count in this job. `entity` is zero
    /// unless the job asks for vouched sites; `readiness` is the verdict that was stated of the data set.
    event SiteEnrolled(
        bytes32 indexed job,
        uint256 indexed seat,
        address indexed site,
        bytes32 dataset,
        address signer,
        bytes32 agreementKey,
        bytes32 entity,
        uint8 readiness
    );
    /// @notice The roster is closed and training began.
    event JobStarted(bytes32 indexed job, uint256 sites, bytes32 head);
    /// @notice A round was recorded.
    event RoundAnchored(bytes32 indexed job, uint256 indexed round, bytes32 root, bytes32 model, bytes32 record);
    /// @notice A quorum of sites signed; the challenge window is open. `slashed` are the seats whose stake is forfeited.
    event JobSettled(
        bytes32 indexed job, bytes32 head, bytes32 claims, uint256 payout, uint256 signatures, uint256[] slashed
    );
    /// @notice A site was shown to have signed two uploads for one round; its stake is forfeited.
    event SeatEquivocated(
        bytes32 indexed job, uint256 indexed seat, uint256 round, bytes32 one, bytes32 other
    );
    /// @notice What the job showed of a site was entered in its standing.
    event StandingRecorded(
        bytes32 indexed job, uint256 indexed seat, address indexed site, uint256 good, uint256 bad
    );
    /// @notice A site says that a round leaves out its upload.
    event OmissionChallenged(
        bytes32 indexed job, uint256 indexed seat, uint256 round, bytes32 leaf, uint256 deadline
    );
    /// @notice The challenged leaf was shown to be in its place.
    event OmissionAnswered(bytes32 indexed job, uint256 indexed seat, uint256 round, bytes32 leaf);
    /// @notice The challenge was not answered in time.
    event OmissionUpheld(bytes32 indexed job, uint256 indexed seat, uint256 round, bytes32 leaf);
    /// @notice A round holds something in a seat's place that the seat did not sign.
    event LeafDisputed(bytes32 indexed job, uint256 indexed seat, uint256 round, bytes32 leaf);
    /// @notice The settlement stands.
    event JobCompleted(bytes32 indexed job, uint256 payout, uint256 remainder);
    /// @notice The coordinator was shown to have cheated; its bond goes to `harmed`, the price back to the buyer.
    event JobRejected(bytes32 indexed job, address indexed harmed);
    /// @notice The job ended in `stage` without a settlement; everything goes back to who paid it.
    event JobExpired(bytes32 indexed job, Stage stage);
    /// @notice A site stated how many sums were opened in a job that is over; the rest of its reservation is free again.
    event BudgetCharged(
        bytes32 indexed job,
        uint256 indexed seat,
        bytes32 dataset,
        uint256 sums,
        uint256 epsilonMicro,
        uint256 deltaPico
    );
    /// @notice An account pulled its reward, and its stake or bond with it.
    event Claimed(bytes32 indexed job, address indexed account, uint256 amount, uint256 returned);

    // ------------------------------------------------------------------ what was refused

    /// @notice The same buyer opened exactly this before; a new nonce in the specification makes it another job.
    error JobKnown(bytes32 job);
    /// @notice There is nothing at the token's address.
    error TokenMissing(address token);
    /// @notice A job needs a coordinator.
    error CoordinatorMissing();
    /// @notice At least one site, and no fewer at most than at least.
    error SitesOutOfRange(uint256 minSites, uint256 maxSites);
    /// @notice A job needs at least one round.
    error RoundsMissing();
    /// @notice Every duration is at least a second.
    error DurationMissing();
    /// @notice Epsilon, delta, sums and costs are all given, or none is.
    error PrivacyIncomplete();
    /// @notice There is no verdict above ready.
    error ReadinessUnknown(uint8 readiness);
    /// @notice The data sets let another contract than this one reserve their budgets.
    error SpenderDiffers(address spender);
    /// @notice The standing is told by another contract than this one.
    error RecorderDiffers(address recorder);
    /// @notice The job is not in a stage in which this can be done.
    error WrongStage(bytes32 job, Stage stage);
    /// @notice Too late: the stage ended at `deadline`.
    error DeadlinePassed(uint256 deadline, uint256 time);
    /// @notice Too early: this can be done after `deadline`.
    error DeadlineAhead(uint256 deadline, uint256 time);
    /// @notice Only the job's buyer may do this.
    error NotBuyer(address caller, address buyer);
    /// @notice Only the job's coordinator may do this.
    error NotCoordinator(address caller, address coordinator);
    /// @notice All seats are taken.
    error SeatsTaken(uint256 maxSites);
    /// @notice One seat per account, and so one per data set.
    error AlreadySeated(address site, uint256 seat);
    /// @notice The job's attester does not vouch for the site.
    error NotVouched(address site, address attester);
    /// @notice One seat per legal entity.
    error EntitySeated(bytes32 entity, uint256 seat);
    /// @notice Training needs more sites.
    error SitesMissing(uint256 sites, uint256 minSites);
    /// @notice Rounds are anchored in order, each once.
    error RoundNotNext(uint256 round, uint256 next);
    /// @notice The terms allow no further round, or none was given.
    error RoundsOutOfRange(uint256 rounds, uint256 maxRounds);
    /// @notice A settlement is about at least one anchored round.
    error NothingAnchored();
    /// @notice More than two thirds of the sites must sign.
    error QuorumMissing(uint256 signatures, uint256 needed);
    /// @notice One signature per seat and one seat per signature.
    error SignaturesUnpaired(uint256 seats, uint256 signatures);
    /// @notice Seats are listed in rising order, so that none counts twice.
    error SeatsUnordered(uint256 seat);
    /// @notice The job has no such seat.
    error SeatUnknown(uint256 seat, uint256 sites);
    /// @notice The seat did not sign this settlement, or this upload.
    error SignatureInvalid(uint256 seat);
    /// @notice A settlement cannot give more than the buyer put in.
    error PayoutAbovePrice(uint256 payout, uint256 price);
    /// @notice The round has not been anchored.
    error RoundUnknown(uint256 round, uint256 rounds);
    /// @notice The proof does not lead to the round's root at this seat's position.
    error LeafNotInRound(uint256 round, uint256 seat, bytes32 reached, bytes32 root);
    /// @notice A proof has as many siblings as the roster's tree has levels.
    error ProofDepthWrong(uint256 siblings, uint256 depth);
    /// @notice The leaf is in order: nothing to dispute.
    error LeafWellSigned(uint256 round, uint256 seat);
    /// @notice The signature shown is not the one that the leaf commits to.
    error SignatureNotInLeaf(bytes32 shown, bytes32 committed);
    /// @notice Only the seat's own site may do this.
    error NotSite(address caller, address site);
    /// @notice The coordinator's signer did not sign this receipt.
    error ReceiptInvalid(uint256 round, uint256 seat);
    /// @notice The seat's earlier challenge is still open.
    error ChallengeOpen(uint256 seat);
    /// @notice The seat has no open challenge.
    error ChallengeMissing(uint256 seat);
    /// @notice The seat's open challenge is about another round or leaf.
    error ChallengeDiffers(uint256 round, bytes32 leaf);
    /// @notice Challenges wait for an answer.
    error ChallengesOpen(uint256 count);
    /// @notice The two uploads are one.
    error BodiesEqual(bytes32 body);
    /// @notice The job holds no stake of the seat that could be forfeited (any more).
    error StakeGone(uint256 seat);
    /// @notice The seat was not taken for this legal entity.
    error EntityDiffers(uint256 seat, bytes32 entity);
    /// @notice The job was entered in the seat's standing before.
    error AlreadyRecorded(uint256 seat);
    /// @notice The claims of this job do not hold this one.
    error ClaimUnknown(uint256 index, bytes32 reached, bytes32 claims);
    /// @notice This claim was paid before.
    error ClaimPaid(uint256 index);
    /// @notice The claims add up to more than the payout; this one would take another job's money.
    error PayoutExhausted(uint256 amount, uint256 left);
    /// @notice The job owes the caller nothing.
    error NothingToClaim(bytes32 job, address account);
    /// @notice The job holds no reservation for the seat: it opens exact sums, or gave the rest back before.
    error NothingReserved(uint256 seat);
    /// @notice The job was opened with other terms.
    error TermsDiffer(bytes32 job, bytes32 reached);
    /// @notice A site gives something back only if not all sums were opened.
    error SumsOutOfRange(uint256 sums, uint256 most);
    /// @notice The costs in the terms do not hold this one.
    error CostUnknown(uint256 sums, bytes32 reached, bytes32 costs);
    /// @notice The buyer's table of costs says more than the job reserved: then all of it stays spent.
    error CostAboveReservation(uint256 epsilonMicro, uint256 deltaPico);

    // ------------------------------------------------------------------ asking and paying

    /// @notice Ask without paying yet; the caller must be a member with the buyer's role.
    /// @return id A digest, see `idOf`.
    function open(Terms calldata terms) external returns (bytes32 id);

    /// @notice Put the price of an open job in escrow; the buyer has allowed this contract to take it.
    function fund(bytes32 id) external;

    /// @notice Ask and pay in one transaction.
    function openAndFund(Terms calldata terms) external returns (bytes32 id);

    /// @notice Take back a job that nobody has accepted; the price is credited to the buyer.
    function cancel(bytes32 id) external;

    // ------------------------------------------------------------------ taking part

    /// @notice Take a funded job and put down the bond; the named coordinator, a member with that role.
    function accept(bytes32 id) external;

    /// @notice Take a seat with one's own active data set, as ready as the job asks, reserve its privacy budget for the whole run and put down the
    /// stake; a member with the steward's role.
    /// If the job names an attester, the caller must be a legal entity in its word, and the entity have no seat yet.
    /// @dev A data set has one steward and an account one seat, so a data set has at most one seat.
    /// @return number The seat: 0, 1, 2, ... in the order of enrolment.
    function enrol(bytes32 id, bytes32 dataset) external returns (uint256 number);

    /// @notice Close the roster and begin; the coordinator.
    function start(bytes32 id) external;

    // ------------------------------------------------------------------ recording and settling

    /// @notice Record the next round; the coordinator.
    /// @param round Must be the number of rounds recorded so far, so that a repeated transaction is refused.
    function anchor(bytes32 id, uint256 round, bytes32 root, bytes32 model, bytes32 record) external;

    /// @notice Record the next rounds at once, for a coordinator that lost its node for a while.
    function anchorMany(bytes32 id, uint256 round, Entry[] calldata entries) external;

    /// @notice Propose how the price is shared; the coordinator, with signatures of more than two thirds of the sites.
    /// @param claims     Merkle root over leaves of abi.encode(job, account, amount); a site's position is its seat.
    /// The tree may also hold leaves of abi.encode(job, account, good, bad): what the job showed of a site.
    /// @param payout     What the claims add up to, at most the price.
    /// @param slashed    Seats whose stake is forfeited once the settlement stands, in rising order: those of which the
    /// anchored record holds evidence that they broke the protocol, and no others; an audit recomputes the list.
    /// @param seats      Who signed, in rising order.
    /// @param signatures Over Settlement(job, head, claims, payout, slashed), paired with `seats`.
    function settle(
        bytes32 id,
        bytes32 claims,
        uint256 payout,
        uint256[] calldata slashed,
        uint256[] calldata seats,
        bytes[] calldata signatures
    ) external;

    /// @notice Make a settlement final once its window is over and no challenge is open; anyone.
    function complete(bytes32 id) external;

    /// @notice End a job whose stage ran out before it was settled; anyone.
    function expire(bytes32 id) external;

    // ------------------------------------------------------------------ disputing

    /// @notice Show that a round holds at a seat's position something that the seat's site did not sign; anyone.
    /// A leaf in order is abi.encode(job, round, seat, body, sha256(signature)) of that very job, round and seat,
    /// where the signature is the site's over Upload(job, round, seat, body).
    /// @param leafData  What the leaf is the digest of.
    /// @param signature What the leaf's last word is the digest of; not looked at if the leaf is not even of that form.
    /// @param siblings  The leaf's Merkle proof, bottom up.
    function disputeLeaf(
        bytes32 id,
        uint256 number,
        RoundProof calldata proof,
        bytes calldata leafData,
        bytes calldata signature,
        bytes32[] calldata siblings
    ) external;

    /// @notice Complain that a round leaves out an upload; the seat's site, with the coordinator's signed receipt.
    /// @dev A coordinator that lies can anchor a root that nobody can open, so it is the one that has to open it.
    /// @param receipt The signature over Receipt(job, round, seat, leaf).
    function challengeOmission(bytes32 id, uint256 round, uint256 number, bytes32 leaf, bytes calldata receipt)
        external;

    /// @notice Show the challenged leaf in its place; anyone.
    function answerOmission(
        bytes32 id,
        uint256 number,
        bytes32 leaf,
        RoundProof calldata proof,
        bytes32[] calldata siblings
    ) external;

    /// @notice Reject a job whose coordinator left a challenge unanswered; anyone.
    function upholdOmission(bytes32 id, uint256 number) external;

    // ------------------------------------------------------------------ forfeiting a stake

    /// @notice Show that a site signed two uploads for one round of one job; anyone, while the job holds its stake.
    /// @param one      The digest in one upload.
    /// @param other    The digest in the other.
    /// @param oneSigned   The site's signature over Upload(job, round, number, one).
    /// @param otherSigned The site's signature over Upload(job, round, number, other).
    function slashEquivocation(
        bytes32 id,
        uint256 number,
        uint256 round,
        bytes32 one,
        bytes calldata oneSigned,
        bytes32 other,
        bytes calldata otherSigned
    ) external;

    // ------------------------------------------------------------------ being paid

    /// @notice Pull a reward, and with it the caller's stake and bond where the job is over and still holds them.
    /// @param amount   The claim's amount; 0 pulls stake and bond alone and needs no proof.
    /// @param index    The claim's position among the job's claims.
    /// @param siblings Its Merkle proof, bottom up.
    function claim(bytes32 id, uint256 amount, uint256 index, bytes32[] calldata siblings) external;

    // ------------------------------------------------------------------ what is remembered

    /// @notice Enter in a site's standing what a job showed of it; anyone, once a seat, so that no site can dodge it.
    /// Of a seat whose stake is forfeited it is one bad observation, whatever the claims say.
    /// @param entity   The legal entity for which the seat was taken; zero if the job names no attester.
    /// @param good     What the leaf says; it, `index` and `siblings` are not looked at where the stake is forfeited.
    /// @param bad      The same.
    /// @param index    The leaf's position among the job's claims.
    /// @param siblings Its Merkle proof, bottom up.
    function recordStanding(
        bytes32 id,
        uint256 number,
        bytes32 entity,
        uint256 good,
        uint256 bad,
        uint256 index,
        bytes32[] calldata siblings
    ) external;

    // ------------------------------------------------------------------ freeing the budget

    /// @notice Give a data set back what a job that was not completed reserved and did not spend; the seat's site, once.
    /// If it never does, the whole reservation stays spent, and in a completed job it does in any case.
    /// @dev How many sums were opened only the site knows: rounds are anchored late or never, and a coordinator could
    /// anchor rounds that never were, to use up a budget. A site that states too few deceives its own patients, and
    /// whoever audits the transcript finds out.
    /// @param terms    As the job was opened.
    /// @param cost     What was spent, by the number of sums that were opened with the site's part in them.
    /// @param siblings The Merkle proof that it stands at position `cost.sums` of the terms' costs, bottom up.
    function releaseBudget(
        bytes32 id,
        uint256 number,
        Terms calldata terms,
        Cost calldata cost,
        bytes32[] calldata siblings
    ) external;

    // ------------------------------------------------------------------ reading

    /// @notice The id that `open` gives: a digest of the buyer and the terms, so nobody else can take it.
    function idOf(address buyer, Terms calldata terms) external pure returns (bytes32 id);

    /// @notice The job as it stands; all zero for an unknown id.
    function job(bytes32 id) external view returns (Job memory);

    /// @notice The seat as it stands; all zero for an unknown one.
    function seat(bytes32 id, uint256 number) external view returns (Seat memory);

    /// @notice The seat's open challenge; all zero where there is none.
    function challenge(bytes32 id, uint256 number) external view returns (Challenge memory);

    /// @notice True if the claim at `index` was paid.
    function isPaid(bytes32 id, uint256 index) external view returns (bool);
}
