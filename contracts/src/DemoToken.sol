// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title Play money for demonstrations
/// @notice A plain ERC-20 of fixed supply; jobs accept any ERC-20, and nothing in the suite knows this one.
contract DemoToken is ERC20 {
    /// @param supply Smallest units in existence, for ever; all of them go to the deployer.
    constructor(uint256 supply) ERC20("Caduceus demo credit", "CRED") {
        _mint(msg.sender, supply);
    }
}
