"""A site's own runner of letters, in place of Flower's: it stays up, and runs no code that came over the network.

Flower's runner starts a Python process for every message, and that process executes whatever app the SuperLink
sent. This one asks the SuperNode for tasks, answers letters with the bridge that the site installed itself, and
ignores the app in the message. The SuperNode is started with `--isolation process`.

It uses Flower's modules below its public API, as of flwr 1.41.0, and refuses to start on another version.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import httpx  # Flower's own client; its errors are what the calls below raise
from flwr import __version__ as flower
from flwr.app import Error, Message
from flwr.common.constant import ErrorCode
from flwr.common.serde import context_from_proto
from flwr.proto.node_pb2 import Node
from flwr.proto.runtime_pb2 import AcquireTaskRequest, PullAppMessagesRequest, PullTaskInputRequest
from flwr.supercore.constant import TaskType
from flwr.supercore.heartbeat import (
    HeartbeatSender,
    make_task_heartbeat_fn_http,
)
from flwr.supercore.inflatable.inflatable_protobuf_utils import (
    make_confirm_message_received_fn_protobuf,
    make_pull_object_fn_protobuf,
)
from flwr.supercore.inflatable.inflatable_utils import ObjectPullError, pull_and_inflate_object_from_tree
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.retry import make_simple_http_retry_invoker
from flwr.supercore.retry.retry_invoker import constant
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supernode.runtime.run_clientapp import (
    push_message,
    push_task_output,
)

from .mail import answer_message, letter_in
from .visit import visit

VERSION = "1.41.0"
_POLL = 0.05  # seconds between questions for a task
_RECONNECT = 0.5  # seconds between tries to reach a SuperNode that is away


def _client(address: str, certificates: bytes | None, *more: Any, for_one_task: bool = False) -> Any:
    retries = make_simple_http_retry_invoker()
    if for_one_task:  # a task does not outlive its SuperNode, and a restarted one would end this process with a 401
        retries.should_giveup = lambda _: True
    retries.wait_gen_factory = lambda: constant(_RECONNECT)  # by default up to 20, as long as the SuperNode is away
    return RuntimeHttpClient.from_server_address(
        server_address=address,
        insecure=certificates is None,
        root_certificates=certificates,
        interceptors=[RuntimeVersionHttpInterceptor(component_name="SuperExec"), *more],
        retry_invoker=retries,
    )


def answer_one(address: str, certificates: bytes | None, token: str, socket_path: str) -> None:
    """Answer the letter of one task."""
    client = _client(address, certificates, RuntimeTokenHttpInterceptor(token), for_one_task=True)
    alive = HeartbeatSender(make_task_heartbeat_fn_http(client))
    try:
        alive.start()
        context = context_from_proto(client.PullTaskInput(PullTaskInputRequest()).context)
        message = _letter(client, context)
        push_message(client, _reply(message, socket_path), context)
        push_task_output(client, context, "completed", "")
    finally:
        if alive.is_running:
            alive.stop()
        client.close()


def _letter(client: Any, context: Any) -> Any:
    """The task's message. A task is offered while the SuperNode still fetches it, and Flower waits a second then."""
    offer = client.PullMessages(PullAppMessagesRequest())
    node, tree = Node(node_id=context.node_id), offer.message_object_trees[0]
    message = pull_and_inflate_object_from_tree(
        tree,
        make_pull_object_fn_protobuf(client.PullObject, node, context.run_id),
        make_confirm_message_received_fn_protobuf(client.ConfirmMessageReceived, node, context.run_id),
        return_type=Message,
        initial_backoff=_POLL,
        backoff_cap=0.2,
    )
    message.metadata.__dict__["_message_id"] = tree.object_id
    return message


def _reply(message: Any, socket_path: str) -> Any:
    """The answer to a letter; to another app's message an error, for the SuperNode waits until it has a reply."""
    try:
        letter = letter_in(message)
    except (KeyError, ValueError, TypeError, AttributeError):
        reason = "this site's runner answers the caduceus bridge's letters only"
        return Message(Error(code=ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason=reason), reply_to=message)
    return answer_message(visit(socket_path, letter), message)


def serve(address: str, certificates: bytes | None, secret: bytes | None, socket_path: str) -> None:
    """Answer letters until the process is stopped, through restarts of the SuperNode."""
    auth = []
    if secret is not None:
        auth.append(
            SuperExecAuthHttpInterceptor(
                master_secret=secret, protected_methods=frozenset({"/flwr.proto.Runtime/AcquireTask"})
            )
        )
    client = _client(address, certificates, *auth)
    wanted = AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP])
    while True:
        offer = client.AcquireTask(wanted)
        if offer.HasField("task") and offer.token:
            try:
                answer_one(address, certificates, offer.token, socket_path)
            except (httpx.HTTPError, ObjectPullError) as problem:
                print(f"caduceus runner: a letter is lost with its SuperNode: {problem}", flush=True)  # noqa: T201
        else:
            time.sleep(_POLL)


def main(arguments: list[str] | None = None) -> None:
    """The command line: `python -m caduceus_bridge.resident --help`."""
    reader = argparse.ArgumentParser(prog="caduceus_bridge.resident", description="Answer letters at a site.")
    reader.add_argument("--runtime-api-address", required=True, help="the SuperNode's --host and --port")
    reader.add_argument("--socket", required=True, help="the Unix socket of the site's party process")
    reader.add_argument("--root-certificates", help="CA of the SuperNode's runtime API; without it, no TLS")
    reader.add_argument("--superexec-auth-secret-file", help="the secret that the SuperNode was given")
    asked = reader.parse_args(arguments)
    if flower != VERSION:
        sys.exit(f"caduceus_bridge.resident: written for flwr {VERSION}, this is {flower}; use Flower's own runner")
    certificates = Path(asked.root_certificates).read_bytes() if asked.root_certificates else None
    secret = Path(asked.superexec_auth_secret_file).read_bytes() if asked.superexec_auth_secret_file else None
    serve(asked.runtime_api_address, certificates, secret, asked.socket)


if __name__ == "__main__":
    main()
