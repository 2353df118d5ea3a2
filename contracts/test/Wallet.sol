// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice A contract wallet (ERC-1271) with one owner, who can make it call anything and change its mind.
contract Wallet is IERC1271 {
    address private immutable _OWNER;
    bool private _disowning;

    constructor(address owner) {
        _OWNER = owner;
    }

    function execute(address target, bytes calldata data) external {
        require(msg.sender == _OWNER, "not the owner");
        (bool done, bytes memory answer) = target.call(data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
    }

    function disown(bool on) external {
        require(msg.sender == _OWNER, "not the owner");
        _disowning = on;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        bool valid = !_disowning && ECDSA.recoverCalldata(hash, signature) == _OWNER;
        return valid ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}
