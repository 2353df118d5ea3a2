// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title Money in, money out
/// @notice Money is pulled and never pushed: what the contract owes is credited, and its owner withdraws it.
/// @dev Each token is an account of its own: a token that lies, takes a fee or calls back can spoil jobs that are paid
/// in it, and no others. Whatever enters is measured, so a token cannot claim to have delivered more than it did.
abstract contract Purse is ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice The contract now owes `account` this much more, to be withdrawn.
    event Credited(address indexed token, address indexed account, uint256 amount);
    /// @notice `account` pulled everything it was owed in `token`.
    event Withdrawn(address indexed token, address indexed account, uint256 amount);

    /// @notice The token delivered something else than it was asked for; such tokens are not accepted.
    error TransferInexact(address token, uint256 asked, uint256 delivered);
    /// @notice Nothing is owed to the account in this token.
    error NothingToWithdraw(address token, address account);

    mapping(address token => mapping(address account => uint256)) private _credits;

    /// @notice Pull everything that is owed to the caller in `token`: refunds and forfeited bonds.
    function withdraw(address token) external nonReentrant {
        uint256 amount = _credits[token][msg.sender];
        if (amount == 0) revert NothingToWithdraw(token, msg.sender);
        _credits[token][msg.sender] = 0;
        emit Withdrawn(token, msg.sender, amount);
        _give(token, amount);
    }

    /// @notice What `account` can withdraw in `token`.
    function credit(address token, address account) external view returns (uint256) {
        return _credits[token][account];
    }

    function _credit(address token, address account, uint256 amount) internal {
        if (amount == 0) return;
        _credits[token][account] += amount;
        emit Credited(token, account, amount);
    }

    /// @dev Pulls from the caller alone: an allowance given to this contract is of use to nobody else.
    function _take(address token, uint256 amount) internal {
        if (amount == 0) return;
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 delivered = IERC20(token).balanceOf(address(this)) - before;
        if (delivered != amount) revert TransferInexact(token, amount, delivered);
    }

    function _give(address token, uint256 amount) internal {
        if (amount == 0) return;
        IERC20(token).safeTransfer(msg.sender, amount);
    }
}
