// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice Takes a hundredth of every transfer, as some tokens do.
contract FeeToken is ERC20 {
    constructor(uint256 supply) ERC20("Fee on transfer", "FEE") {
        _mint(msg.sender, supply);
    }

    function _update(address from, address to, uint256 amount) internal override {
        uint256 fee = from == address(0) ? 0 : amount / 100;
        super._update(from, to, amount - fee);
        if (fee != 0) super._update(from, address(0), fee);
    }
}

/// @notice Says no by returning false instead of reverting, once it is told to.
contract FalseToken is ERC20 {
    bool public refusing;

    constructor(uint256 supply) ERC20("Returns false", "FALSE") {
        _mint(msg.sender, supply);
    }

    function refuse(bool on) external {
        refusing = on;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return !refusing && super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return !refusing && super.transferFrom(from, to, amount);
    }
}

/// @notice Claims to have moved money and has not.
contract LyingToken is ERC20 {
    constructor(uint256 supply) ERC20("Moves nothing", "LIE") {
        _mint(msg.sender, supply);
    }

    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return true;
    }
}

/// @notice During a transfer, calls back whatever it was told to, and passes the outcome on.
contract CallingToken is ERC20 {
    address private _target;
    bytes private _data;

    constructor(uint256 supply) ERC20("Calls back", "CALL") {
        _mint(msg.sender, supply);
    }

    function aim(address target, bytes calldata data) external {
        _target = target;
        _data = data;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (_target == address(0)) return;
        (bool done, bytes memory answer) = _target.call(_data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
    }
}
