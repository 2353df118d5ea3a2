// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {IDatasets, Readiness} from "./IDatasets.sol";
import {Challenge, Cost, IJobs, Job, Seat, Stage, Terms} from "./IJobs.sol";
import {IMembers, Member, Roles} from "./IMembers.sol";
import {IStanding} from "./IStanding.sol";
import {IVouches} from "./IVouches.sol";
import {MerkleSha256} from "./MerkleSha256.sol";
import {Purse} from "./Purse.sol";
import {Entry, RollingHead, RoundProof} from "./RollingHead.sol";
import {Statements} from "./Statements.sol";

/// @title Paid training jobs: escrow, enrolment, anchored rounds, settlement, disputes, claims
/// @notice The rules are in `IJobs`; money moves only through `Purse`, signatures are judged only in `Statements`.
contract Jobs is IJobs, Purse, Statements {
    using BitMaps for BitMaps.BitMap;

    /// @notice Where parties are registered.
    IMembers public immutable members;
    /// @notice Where data sets are registered and their budgets kept.
    IDatasets public immutable datasets;
    /// @notice Where attesters say which legal entity an account is.
    IVouches public immutable vouches;
    /// @notice Where it is kept what jobs showed of their sites.
    IStanding public immutable standing;

    /// @dev A whole observation, in millionths.
    uint256 private constant UNIT = 1e6;
    /// @dev Whose credit nobody can withdraw: forfeited stakes.
    address private constant NOBODY = address(0);

    mapping(bytes32 job => Job) private _jobs;
    mapping(bytes32 job => mapping(uint256 seat => Seat)) private _seats;
    /// @dev The seat's number plus one; zero for an account without a seat.
    mapping(bytes32 job => mapping(address site => uint256)) private _seatOf;
    /// @dev The seat's number plus one, where the job asks for vouched sites; zero for an entity without a seat.
    mapping(bytes32 job => mapping(bytes32 entity => uint256)) private _seatOfEntity;
    mapping(bytes32 job => mapping(uint256 seat => Challenge)) private _challenges;
    mapping(bytes32 job => BitMaps.BitMap) private _paid;

    /// @param members_  Where parties are registered.
    /// @param datasets_ Where data sets are registered; it must have been told of this contract's address before.
    /// @param vouches_  Where attesters vouch.
    /// @param standing_ Where standing is kept; it must have been told of this contract's address before.
    constructor(IMembers members_, IDatasets datasets_, IVouches vouches_, IStanding standing_) {
        address spender = datasets_.spender();
        if (spender != address(this)) revert SpenderDiffers(spender);
        address recorder = standing_.recorder();
        if (recorder != address(this)) revert RecorderDiffers(recorder);
        members = members_;
        datasets = datasets_;
        vouches = vouches_;
        standing = standing_;
    }

    // ------------------------------------------------------------------ asking and paying

    /// @inheritdoc IJobs
    function open(Terms calldata terms) external returns (bytes32 id) {
        id = _open(terms);
        _jobs[id].stage = Stage.OPEN;
    }

    /// @inheritdoc IJobs
    function fund(bytes32 id) external nonReentrant {
        Job storage entry = _in(id, Stage.OPEN);
        _onlyBuyer(entry);
        _onTime(entry.deadline);
        entry.stage = Stage.FUNDED;
        entry.deadline = _after(entry.enrolFor);
        emit JobFunded(id);
        _take(entry.token, entry.price);
    }

    /// @inheritdoc IJobs
    function openAndFund(Terms calldata terms) external nonReentrant returns (bytes32 id) {
        id = _open(terms);
        emit JobFunded(id);
        _take(terms.token, terms.price);
    }

    /// @inheritdoc IJobs
    function cancel(bytes32 id) external {
        Job storage entry = _jobs[id];
        Stage stage = entry.stage;
        if (stage != Stage.OPEN && stage != Stage.FUNDED) revert WrongStage(id, stage);
        _onlyBuyer(entry);
        _end(id, entry, stage);
    }

    /// @dev The terms are in memory, checked once as they were copied: writing them then merges into one write a slot.
    /// The job is written as funded, which most are in the same transaction; `open` says otherwise.
    function _open(Terms memory terms) private returns (bytes32 id) {
        members.requireRole(msg.sender, Roles.BUYER);
        if (terms.token.code.length == 0) revert TokenMissing(terms.token);
        if (terms.coordinator == address(0)) revert CoordinatorMissing();
        if (terms.minSites == 0 || terms.maxSites < terms.minSites) {
            revert SitesOutOfRange(terms.minSites, terms.maxSites);
        }
        if (terms.maxRounds == 0) revert RoundsMissing();
        if (terms.enrolFor == 0 || terms.trainFor == 0 || terms.challengeFor == 0) revert DurationMissing();
        bool spends = terms.epsilonMicro != 0;
        if (spends != (terms.deltaPico != 0) || spends != (terms.sums != 0) || spends != (terms.costs != 0)) {
            revert PrivacyIncomplete();
        }
        if (terms.readiness > Readiness.READY) revert ReadinessUnknown(terms.readiness);
        id = _idOf(msg.sender, terms);
        Job storage entry = _jobs[id];
        if (entry.stage != Stage.NONE) revert JobKnown(id);
        uint40 deadline = _after(terms.enrolFor);

        entry.coordinator = terms.coordinator;
        entry.stage = Stage.FUNDED;
        entry.deadline = deadline;
        entry.maxRounds = terms.maxRounds;
        entry.minSites = terms.minSites;
        entry.buyer = msg.sender;
        entry.price = terms.price;
        entry.token = terms.token;
        entry.stake = terms.stake;
        entry.bond = terms.bond;
        entry.maxSites = terms.maxSites;
        entry.enrolFor = terms.enrolFor;
        entry.trainFor = terms.trainFor;
        entry.challengeFor = terms.challengeFor;
        entry.sums = terms.sums;
        entry.readiness = terms.readiness;
        if (spends) {
            entry.epsilonMicro = terms.epsilonMicro;
            entry.deltaPico = terms.deltaPico;
        }
        if (terms.attester != address(0)) {
            entry.attester = terms.attester;
            members.requireRole(terms.attester, Roles.ATTESTER);
        }
        emit JobOpened(id, msg.sender, terms.coordinator, terms.costs, terms.spec);
    }

    // ------------------------------------------------------------------ taking part

    /// @inheritdoc IJobs
    function accept(bytes32 id) external nonReentrant {
        Job storage entry = _in(id, Stage.FUNDED);
        _onlyCoordinator(entry);
        _onTime(entry.deadline);
        Member memory coordinator = members.memberWith(msg.sender, Roles.COORDINATOR);
        entry.stage = Stage.ENROLLING;
        entry.deadline = _after(entry.enrolFor);
        entry.bondHeld = true;
        entry.coordinatorSigner = coordinator.signer;
        emit JobAccepted(id, msg.sender, coordinator.signer);
        _take(entry.token, entry.bond);
    }

    /// @inheritdoc IJobs
    function enrol(bytes32 id, bytes32 dataset) external nonReentrant returns (uint256 number) {
        Job storage entry = _in(id, Stage.ENROLLING);
        _onTime(entry.deadline);
        Member memory site = members.memberWith(msg.sender, Roles.STEWARD);
        number = entry.sites;
        if (number == entry.maxSites) revert SeatsTaken(number);
        uint256 taken = _seatOf[id][msg.sender];
        if (taken != 0) revert AlreadySeated(msg.sender, taken - 1);

        entry.sites = uint16(number + 1);
        _seatOf[id][msg.sender] = number + 1;
        bytes32 entity = _seatEntity(id, entry.attester, number);
        Seat storage place = _seats[id][number];
        place.site = msg.sender;
        place.signer = site.signer;
        place.stakeHeld = true;
        (uint64 epsilonMicro, uint64 deltaPico) = (0, 0);
        if (entry.sums != 0) {
            place.reserved = dataset;
            (epsilonMicro, deltaPico) = (entry.epsilonMicro, entry.deltaPico);
        }
        uint8 stated = datasets.reserve(dataset, msg.sender, id, epsilonMicro, deltaPico, entry.readiness);
        emit SiteEnrolled(id, number, msg.sender, dataset, site.signer, site.agreementKey, entity, stated);
        _take(entry.token, entry.stake);
    }

    /// @dev The legal entity for which the caller takes a seat; zero if the job asks for none.
    function _seatEntity(bytes32 id, address attester, uint256 number) private returns (bytes32 entity) {
        if (attester == address(0)) return 0;
        entity = vouches.entityOf(attester, msg.sender);
        if (entity == 0) revert NotVouched(msg.sender, attester);
        uint256 taken = _seatOfEntity[id][entity];
        if (taken != 0) revert EntitySeated(entity, taken - 1);
        _seatOfEntity[id][entity] = number + 1;
    }

    /// @inheritdoc IJobs
    function start(bytes32 id) external {
        Job storage entry = _in(id, Stage.ENROLLING);
        _onlyCoordinator(entry);
        _onTime(entry.deadline);
        uint256 sites = entry.sites;
        if (sites < entry.minSites) revert SitesMissing(sites, entry.minSites);
        bytes32 head = RollingHead.start(id, sites);
        entry.stage = Stage.TRAINING;
        entry.deadline = _after(entry.trainFor);
        entry.head = head;
        emit JobStarted(id, sites, head);
    }

    // ------------------------------------------------------------------ recording and settling

    /// @inheritdoc IJobs
    function anchor(bytes32 id, uint256 round, bytes32 root, bytes32 model, bytes32 record) external {
        Job storage entry = _anchoring(id);
        bytes32 head = entry.head;
        _checkNext(round, RollingHead.count(head), 1, entry.maxRounds);
        entry.head = RollingHead.push(head, root, model, record);
        emit RoundAnchored(id, round, root, model, record);
    }

    /// @inheritdoc IJobs
    function anchorMany(bytes32 id, uint256 round, Entry[] calldata entries) external {
        Job storage entry = _anchoring(id);
        bytes32 head = entry.head;
        _checkNext(round, RollingHead.count(head), entries.length, entry.maxRounds);
        for (uint256 i = 0; i < entries.length; ++i) {
            Entry calldata one = entries[i];
            head = RollingHead.push(head, one.root, one.model, one.record);
            emit RoundAnchored(id, round + i, one.root, one.model, one.record);
        }
        entry.head = head;
    }

    function _anchoring(bytes32 id) private view returns (Job storage entry) {
        entry = _in(id, Stage.TRAINING);
        _onlyCoordinator(entry);
        _onTime(entry.deadline);
    }

    function _checkNext(uint256 round, uint256 next, uint256 count, uint256 maxRounds) private pure {
        if (round != next) revert RoundNotNext(round, next);
        if (count == 0 || next + count > maxRounds) revert RoundsOutOfRange(next + count, maxRounds);
    }

    /// @inheritdoc IJobs
    function settle(
        bytes32 id,
        bytes32 claims,
        uint256 payout,
        uint256[] calldata slashed,
        uint256[] calldata seats,
        bytes[] calldata signatures
    ) external {
        Job storage entry = _anchoring(id);
        bytes32 head = entry.head;
        if (RollingHead.count(head) == 0) revert NothingAnchored();
        if (payout > entry.price) revert PayoutAbovePrice(payout, entry.price);
        _checkQuorum(id, entry.sites, _settlement(id, head, claims, payout, slashed), seats, signatures);
        if (slashed.length != 0) _markSlashed(id, entry, slashed);
        entry.stage = Stage.SETTLING;
        entry.deadline = _after(entry.challengeFor);
        entry.claims = claims;
        entry.payout = uint96(payout);
        emit JobSettled(id, head, claims, payout, seats.length, slashed);
    }

    function _markSlashed(bytes32 id, Job storage entry, uint256[] calldata slashed) private {
        uint256 sites = entry.sites;
        uint16 forfeits = 0;
        for (uint256 i = 0; i < slashed.length; ++i) {
            uint256 number = slashed[i];
            if (number >= sites) revert SeatUnknown(number, sites);
            if (i != 0 && number <= slashed[i - 1]) revert SeatsUnordered(number);
            Seat storage place = _seats[id][number];
            place.slashed = true;
            if (place.stakeHeld) ++forfeits;
        }
        entry.forfeits = forfeits;
    }

    function _checkQuorum(
        bytes32 id,
        uint256 sites,
        bytes32 digest,
        uint256[] calldata seats,
        bytes[] calldata signatures
    ) private view {
        uint256 needed = (2 * sites) / 3 + 1;
        if (seats.length != signatures.length) revert SignaturesUnpaired(seats.length, signatures.length);
        if (seats.length < needed) revert QuorumMissing(seats.length, needed);
        for (uint256 i = 0; i < seats.length; ++i) {
            uint256 number = seats[i];
            if (number >= sites) revert SeatUnknown(number, sites);
            if (i != 0 && number <= seats[i - 1]) revert SeatsUnordered(number);
            Seat storage signed = _seats[id][number];
            if (!_isConsent(signed.signer, signed.site, digest, signatures[i])) revert SignatureInvalid(number);
        }
    }

    /// @inheritdoc IJobs
    function complete(bytes32 id) external {
        Job storage entry = _in(id, Stage.SETTLING);
        _overdue(entry.deadline);
        if (entry.openChallenges != 0) revert ChallengesOpen(entry.openChallenges);
        entry.stage = Stage.COMPLETED;
        uint256 remainder = entry.price - entry.payout;
        emit JobCompleted(id, entry.payout, remainder);
        _credit(entry.token, entry.buyer, remainder);
        _credit(entry.token, NOBODY, uint256(entry.forfeits) * entry.stake);
    }

    /// @inheritdoc IJobs
    function expire(bytes32 id) external {
        Job storage entry = _jobs[id];
        Stage stage = entry.stage;
        if (stage < Stage.OPEN || stage > Stage.TRAINING) revert WrongStage(id, stage);
        _overdue(entry.deadline);
        _end(id, entry, stage);
    }

    function _end(bytes32 id, Job storage entry, Stage stage) private {
        entry.stage = Stage.EXPIRED;
        emit JobExpired(id, stage);
        if (stage != Stage.OPEN) _credit(entry.token, entry.buyer, entry.price);
    }

    // ------------------------------------------------------------------ disputing

    /// @inheritdoc IJobs
    function disputeLeaf(
        bytes32 id,
        uint256 number,
        RoundProof calldata proof,
        bytes calldata leafData,
        bytes calldata signature,
        bytes32[] calldata siblings
    ) external {
        Job storage entry = _in(id, Stage.SETTLING);
        _onTime(entry.deadline);
        bytes32 leaf = MerkleSha256.leafOf(leafData);
        uint256 round = _checkInRound(entry, number, leaf, proof, siblings);
        if (_isInOrder(id, round, number, leafData, signature)) revert LeafWellSigned(round, number);
        emit LeafDisputed(id, number, round, leaf);
        _reject(id, entry, _seats[id][number].site);
    }

    /// @dev False if the leaf is anything but this seat's own signed upload in this round of this job.
    function _isInOrder(bytes32 id, uint256 round, uint256 number, bytes calldata leafData, bytes calldata signature)
        private
        view
        returns (bool)
    {
        if (leafData.length != 160) return false;
        (bytes32 job_, uint256 round_, uint256 seat_, bytes32 body, bytes32 committed) =
            abi.decode(leafData, (bytes32, uint256, uint256, bytes32, bytes32));
        if (job_ != id || round_ != round || seat_ != number) return false;
        bytes32 shown = sha256(signature);
        // Whoever disputes could otherwise show any other signature and blame the leaf for it.
        if (shown != committed) revert SignatureNotInLeaf(shown, committed);
        return _isEvidence(_seats[id][number].signer, _upload(id, round, number, body), signature);
    }

    /// @inheritdoc IJobs
    function challengeOmission(bytes32 id, uint256 round, uint256 number, bytes32 leaf, bytes calldata receipt)
        external
    {
        Job storage entry = _in(id, Stage.SETTLING);
        _onTime(entry.deadline);
        _onlySite(id, entry, number);
        uint256 rounds = RollingHead.count(entry.head);
        if (round >= rounds) revert RoundUnknown(round, rounds);
        if (!_isEvidence(entry.coordinatorSigner, _receipt(id, round, number, leaf), receipt)) {
            revert ReceiptInvalid(round, number);
        }
        if (_challenges[id][number].deadline != 0) revert ChallengeOpen(number);
        uint40 deadline = _after(entry.challengeFor);
        _challenges[id][number] = Challenge(leaf, uint16(round), deadline);
        entry.openChallenges += 1;
        emit OmissionChallenged(id, number, round, leaf, deadline);
    }

    /// @inheritdoc IJobs
    function answerOmission(
        bytes32 id,
        uint256 number,
        bytes32 leaf,
        RoundProof calldata proof,
        bytes32[] calldata siblings
    ) external {
        Job storage entry = _in(id, Stage.SETTLING);
        Challenge memory open_ = _openChallenge(id, number);
        _onTime(open_.deadline);
        uint256 round = _checkInRound(entry, number, leaf, proof, siblings);
        if (open_.round != round || open_.leaf != leaf) revert ChallengeDiffers(open_.round, open_.leaf);
        delete _challenges[id][number];
        entry.openChallenges -= 1;
        emit OmissionAnswered(id, number, round, leaf);
    }

    /// @inheritdoc IJobs
    function upholdOmission(bytes32 id, uint256 number) external {
        Job storage entry = _in(id, Stage.SETTLING);
        Challenge memory open_ = _openChallenge(id, number);
        _overdue(open_.deadline);
        delete _challenges[id][number];
        entry.openChallenges -= 1;
        emit OmissionUpheld(id, number, open_.round, open_.leaf);
        _reject(id, entry, _seats[id][number].site);
    }

    function _openChallenge(bytes32 id, uint256 number) private view returns (Challenge memory open_) {
        open_ = _challenges[id][number];
        if (open_.deadline == 0) revert ChallengeMissing(number);
    }

    /// @dev The round in which `leaf` stands at the seat's position; reverts unless the proofs say so.
    function _checkInRound(
        Job storage entry,
        uint256 number,
        bytes32 leaf,
        RoundProof calldata proof,
        bytes32[] calldata siblings
    ) private view returns (uint256 round) {
        uint256 sites = entry.sites;
        if (number >= sites) revert SeatUnknown(number, sites);
        uint256 depth = Math.log2(sites, Math.Rounding.Ceil);
        if (siblings.length != depth) revert ProofDepthWrong(siblings.length, depth);
        bytes32 root;
        (round, root) = RollingHead.open(entry.head, proof);
        bytes32 reached = MerkleSha256.rootOf(leaf, number, siblings);
        if (reached != root) revert LeafNotInRound(round, number, reached, root);
    }

    function _reject(bytes32 id, Job storage entry, address harmed) private {
        entry.stage = Stage.REJECTED;
        entry.bondHeld = false;
        emit JobRejected(id, harmed);
        address token = entry.token;
        _credit(token, entry.buyer, entry.price);
        _credit(token, harmed, entry.bond);
    }

    // ------------------------------------------------------------------ forfeiting a stake

    /// @inheritdoc IJobs
    function slashEquivocation(
        bytes32 id,
        uint256 number,
        uint256 round,
        bytes32 one,
        bytes calldata oneSigned,
        bytes32 other,
        bytes calldata otherSigned
    ) external {
        Job storage entry = _jobs[id];
        if (number >= entry.sites) revert SeatUnknown(number, entry.sites);
        Seat storage place = _seats[id][number];
        if (!_holdsStake(place, entry.stage)) revert StakeGone(number);
        if (one == other) revert BodiesEqual(one);
        address signer = place.signer;
        if (
            !_isEvidence(signer, _upload(id, round, number, one), oneSigned)
                || !_isEvidence(signer, _upload(id, round, number, other), otherSigned)
        ) revert SignatureInvalid(number);
        if (place.slashed) entry.forfeits -= 1; // its stake goes now, and not with the settlement
        place.stakeHeld = false;
        place.equivocated = true;
        place.recorded = false; // what was recorded before this was known does not stand for it
        emit SeatEquivocated(id, number, round, one, other);
        _credit(entry.token, NOBODY, entry.stake);
    }

    /// @dev False once the stake was given back or forfeited.
    function _holdsStake(Seat storage place, Stage stage) private view returns (bool) {
        return place.stakeHeld && !(place.slashed && stage == Stage.COMPLETED);
    }

    // ------------------------------------------------------------------ being paid

    /// @inheritdoc IJobs
    function claim(bytes32 id, uint256 amount, uint256 index, bytes32[] calldata siblings) external nonReentrant {
        Job storage entry = _jobs[id];
        Stage stage = entry.stage;
        if (stage < Stage.COMPLETED || (amount != 0 && stage != Stage.COMPLETED)) revert WrongStage(id, stage);
        uint256 returned = _release(id, entry, stage);
        if (amount + returned == 0) revert NothingToClaim(id, msg.sender);
        if (amount != 0) _spend(id, entry, amount, index, siblings);
        emit Claimed(id, msg.sender, amount, returned);
        _give(entry.token, amount + returned);
    }

    /// @dev What the job holds of the caller's own money, which it holds no longer.
    function _release(bytes32 id, Job storage entry, Stage stage) private returns (uint256 returned) {
        uint256 taken = _seatOf[id][msg.sender];
        if (taken != 0 && _holdsStake(_seats[id][taken - 1], stage)) {
            _seats[id][taken - 1].stakeHeld = false;
            returned = entry.stake;
        }
        if (msg.sender == entry.coordinator && entry.bondHeld) {
            entry.bondHeld = false;
            returned += entry.bond;
        }
    }

    /// @dev Marks a claim as paid; reverts unless it is among the job's claims and within the payout.
    function _spend(bytes32 id, Job storage entry, uint256 amount, uint256 index, bytes32[] calldata siblings)
        private
    {
        bytes32 leaf = MerkleSha256.leafOf(abi.encode(id, msg.sender, amount));
        bytes32 reached = MerkleSha256.rootOf(leaf, index, siblings);
        if (reached != entry.claims) revert ClaimUnknown(index, reached, entry.claims);
        if (_paid[id].get(index)) revert ClaimPaid(index);
        uint256 left = entry.payout - entry.paid;
        if (amount > left) revert PayoutExhausted(amount, left);
        _paid[id].set(index);
        entry.paid += uint96(amount);
    }

    // ------------------------------------------------------------------ what is remembered

    /// @inheritdoc IJobs
    function recordStanding(
        bytes32 id,
        uint256 number,
        bytes32 entity,
        uint256 good,
        uint256 bad,
        uint256 index,
        bytes32[] calldata siblings
    ) external {
        Job storage entry = _jobs[id];
        if (number >= entry.sites) revert SeatUnknown(number, entry.sites);
        Seat storage place = _seats[id][number];
        if (place.recorded) revert AlreadyRecorded(number);
        address attester = entry.attester;
        bool isSeats = attester == address(0) ? entity == 0 : _seatOfEntity[id][entity] == number + 1;
        if (!isSeats) revert EntityDiffers(number, entity);
        address site = place.site;
        if (place.equivocated) {
            (good, bad) = (0, UNIT);
        } else if (entry.stage != Stage.COMPLETED) {
            revert WrongStage(id, entry.stage);
        } else if (place.slashed) {
            (good, bad) = (0, UNIT);
        } else {
            bytes32 leaf = MerkleSha256.leafOf(abi.encode(id, site, good, bad));
            bytes32 reached = MerkleSha256.rootOf(leaf, index, siblings);
            if (reached != entry.claims) revert ClaimUnknown(index, reached, entry.claims);
        }
        place.recorded = true;
        emit StandingRecorded(id, number, site, good, bad);
        standing.observe(site, attester, entity, good, bad);
    }

    // ------------------------------------------------------------------ freeing the budget

    /// @inheritdoc IJobs
    function releaseBudget(
        bytes32 id,
        uint256 number,
        Terms calldata terms,
        Cost calldata cost,
        bytes32[] calldata siblings
    ) external {
        Job storage entry = _jobs[id];
        if (entry.stage <= Stage.COMPLETED) revert WrongStage(id, entry.stage);
        _onlySite(id, entry, number);
        bytes32 dataset = _seats[id][number].reserved;
        if (dataset == 0) revert NothingReserved(number);
        bytes32 reached = _idOf(entry.buyer, terms);
        if (reached != id) revert TermsDiffer(id, reached);
        _checkCost(terms, cost, siblings);
        delete _seats[id][number].reserved;
        emit BudgetCharged(id, number, dataset, cost.sums, cost.epsilonMicro, cost.deltaPico);
        datasets.release(
            dataset, id, terms.epsilonMicro - uint64(cost.epsilonMicro), terms.deltaPico - uint64(cost.deltaPico)
        );
    }

    /// @dev Reverts unless a site may state this cost. The leaf names its own position, so a proof of any depth that
    /// leads to the root is one of the table's.
    function _checkCost(Terms calldata terms, Cost calldata cost, bytes32[] calldata siblings) private pure {
        if (cost.sums >= terms.sums) revert SumsOutOfRange(cost.sums, terms.sums - 1);
        bytes32 reached = MerkleSha256.rootOf(MerkleSha256.leafOf(abi.encode(cost)), cost.sums, siblings);
        if (reached != terms.costs) revert CostUnknown(cost.sums, reached, terms.costs);
        if (cost.epsilonMicro > terms.epsilonMicro || cost.deltaPico > terms.deltaPico) {
            revert CostAboveReservation(cost.epsilonMicro, cost.deltaPico);
        }
    }

    // ------------------------------------------------------------------ reading

    /// @inheritdoc IJobs
    function idOf(address buyer, Terms calldata terms) external pure returns (bytes32) {
        return _idOf(buyer, terms);
    }

    function _idOf(address buyer, Terms memory terms) private pure returns (bytes32) {
        return keccak256(abi.encode(buyer, terms));
    }

    /// @inheritdoc IJobs
    function job(bytes32 id) external view returns (Job memory) {
        return _jobs[id];
    }

    /// @inheritdoc IJobs
    function seat(bytes32 id, uint256 number) external view returns (Seat memory) {
        return _seats[id][number];
    }

    /// @inheritdoc IJobs
    function challenge(bytes32 id, uint256 number) external view returns (Challenge memory) {
        return _challenges[id][number];
    }

    /// @inheritdoc IJobs
    function isPaid(bytes32 id, uint256 index) external view returns (bool) {
        return _paid[id].get(index);
    }

    // ------------------------------------------------------------------ guards

    function _in(bytes32 id, Stage stage) private view returns (Job storage entry) {
        entry = _jobs[id];
        if (entry.stage != stage) revert WrongStage(id, entry.stage);
    }

    function _onlyBuyer(Job storage entry) private view {
        if (msg.sender != entry.buyer) revert NotBuyer(msg.sender, entry.buyer);
    }

    function _onlyCoordinator(Job storage entry) private view {
        if (msg.sender != entry.coordinator) revert NotCoordinator(msg.sender, entry.coordinator);
    }

    function _onlySite(bytes32 id, Job storage entry, uint256 number) private view {
        if (number >= entry.sites) revert SeatUnknown(number, entry.sites);
        address site = _seats[id][number].site;
        if (msg.sender != site) revert NotSite(msg.sender, site);
    }

    // Deadlines are hours to weeks away; the seconds by which a validator can shift a block change nobody's chances.
    // slither-disable-start timestamp

    function _onTime(uint256 deadline) private view {
        if (block.timestamp > deadline) revert DeadlinePassed(deadline, block.timestamp);
    }

    function _overdue(uint256 deadline) private view {
        if (block.timestamp <= deadline) revert DeadlineAhead(deadline, block.timestamp);
    }

    // slither-disable-end timestamp

    function _after(uint32 duration) private view returns (uint40) {
        return uint40(block.timestamp) + duration;
    }
}
