// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The heads of private networks, where everybody can see them
/// @notice A private network's operator records its block hashes here, on a chain that the operator cannot rewrite.
/// Whoever is shown the private chain later compares. A network's identifier commits to the account that records for it
/// and to its genesis block, so nobody can take it first or record in another's name.
contract Heads {
    /// @notice What the state keeps of a network.
    /// @param chain Hash chain over every head recorded, in order; zero before the registration.
    /// @param number Number of the newest block recorded.
    /// @param count How many heads were recorded.
    struct Record {
        bytes32 chain;
        uint64 number;
        uint64 count;
    }

    /// @notice `account` will record the heads of the chain that begins with `genesis`.
    event NetworkRegistered(bytes32 indexed network, address indexed account, bytes32 genesis);
    /// @notice The network's block of this number has this hash.
    event HeadRecorded(bytes32 indexed network, uint64 number, bytes32 blockHash);

    /// @notice A chain begins with a block, whose hash is not zero.
    error GenesisMissing();
    /// @notice The network is registered already.
    error AlreadyRegistered(bytes32 network);
    /// @notice The caller has registered no network with this genesis block.
    error NotRegistered(bytes32 network);
    /// @notice Heads are recorded in rising order.
    error NumberNotRising(uint64 number, uint64 newest);

    mapping(bytes32 network => Record) private _records;

    /// @notice Announce that the caller will record a network's heads.
    /// @param genesis Hash of the network's first block.
    function register(bytes32 genesis) external {
        if (genesis == 0) revert GenesisMissing();
        bytes32 network = idOf(msg.sender, genesis);
        if (_records[network].chain != 0) revert AlreadyRegistered(network);
        _records[network].chain = network;
        emit NetworkRegistered(network, msg.sender, genesis);
    }

    /// @notice Record a head of the caller's network.
    /// @param number Of the block; above all that were recorded before.
    function record(bytes32 genesis, uint64 number, bytes32 blockHash) external {
        bytes32 network = idOf(msg.sender, genesis);
        Record storage entry = _records[network];
        bytes32 before = entry.chain;
        if (before == 0) revert NotRegistered(network);
        if (number <= entry.number) revert NumberNotRising(number, entry.number);
        entry.chain = keccak256(abi.encode(before, number, blockHash));
        entry.number = number;
        ++entry.count;
        emit HeadRecorded(network, number, blockHash);
    }

    /// @notice What the state keeps of a network; all zero if it is not registered.
    function networkOf(bytes32 network) external view returns (Record memory) {
        return _records[network];
    }

    /// @notice The identifier of the network that `account` records for and that begins with `genesis`.
    function idOf(address account, bytes32 genesis) public pure returns (bytes32) {
        return keccak256(abi.encode(account, genesis));
    }
}
