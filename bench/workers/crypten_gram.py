"""One of CrypTen's three parties: inner products and a weighted sum of shared rows, its replicated sharing.

    RANK=0 WORLD_SIZE=3 RENDEZVOUS=file:///... DISTRIBUTED_BACKEND=gloo
    PYTHONPATH=FOLDER python bench/workers/crypten_gram.py '{"sites": 10, "length": 1000}'

One line of JSON: processor seconds of this process for the shares, the products, the sum, and opening them. CrypTen's
ONNX reader, which asks for a torch of its time, is left out; nothing here uses it.
"""

from __future__ import annotations

import json
import sys
import time
import types
from itertools import pairwise

import torch

reader = types.ModuleType("crypten.nn.onnx_converter")
reader.from_onnx = reader.from_pytorch = reader.from_tensorflow = None
reader.TF_AND_TF2ONNX = False
sys.modules[reader.__name__] = reader

import crypten  # noqa: E402  (after its reader was replaced)
from crypten.config import cfg  # noqa: E402  (likewise)


def main() -> None:
    """Answer one question."""
    question = json.loads(sys.argv[1])
    sites, length = question["sites"], question["length"]
    torch.set_num_threads(1)
    cfg.mpc.protocol = "replicated"
    crypten.init()
    torch.manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(sites, length))
    weights = torch.full((sites, 1), 1.0 / sites)
    at = [time.process_time()]
    shared = crypten.cryptensor(rows, src=0)
    at.append(time.process_time())
    turned = shared.t()
    turned.share = turned.share.contiguous()  # gloo sends nothing else
    gram = shared.matmul(turned)
    at.append(time.process_time())
    total = shared.mul(weights).sum(0)
    at.append(time.process_time())
    opened, summed = gram.get_plain_text(), total.get_plain_text()
    at.append(time.process_time())
    answer = dict(zip(("share", "products", "sum", "open"), [b - a for a, b in pairwise(at)], strict=True))
    answer["error of a cosine"] = float((opened - rows @ rows.T).abs().max())
    answer["error of the sum"] = float((summed - (rows * weights).sum(0)).abs().max())
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
