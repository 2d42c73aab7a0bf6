"""The child process that serves a GGUF file on a loopback port; run as a file, it imports nothing of ours.

It reads its orders as one line of JSON from standard input, says its address in one line on standard output, and ends
when its standard input does: the pipe closes with the parent, however that ends. Should a process that the parent
forked keep the pipe open, the change of parent tells the same.
"""

import json
import os
import sys
import threading
import time
from typing import Any


def end_with_parent(parent: int) -> None:
    """End this process once its parent is gone."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def serve(orders: dict[str, Any]) -> Any:
    """Start the server and return it."""
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = orders["path"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [orders["api_key"]]
    params.model_alias = {orders["alias"]}
    params.n_ctx = orders["context"]
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = orders["threads"]
    params.cache_ram_mib = 256  # its cache of prompts would grow without it
    params.ui = False
    params.warmup = False
    return Server(params)


def main() -> None:
    """Serve until standard input ends."""
    threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()
    server = serve(json.loads(sys.stdin.readline()))
    print(json.dumps({"address": server.listening_address}), flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
