"""Serve one GGUF file on loopback by llama.cpp: `python -m gdesign.llm.gguf FILE NAME PORT THREADS CONTEXT`.

A process of its own for each file. It ends when its standard input does, and so with whoever started it, however that
ended. It prints a line when it listens.
"""

import os
import sys
import threading

from gdesign.llm.local import NO_EXTRA


def main() -> None:
    """Serve until standard input ends."""
    path, name, port, num_threads, context = sys.argv[1:]
    # threads that spin while they wait for each other take the cores from those that are waited for
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ModuleNotFoundError:
        sys.exit(NO_EXTRA)

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.model_alias = {name}
    params.hostnames = ["127.0.0.1"]
    params.port = int(port)
    params.n_parallel = 1
    params.n_ctx = int(context)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(num_threads)
    params.verbosity = 0
    server = xllamacpp.Server(params)
    threading.Thread(target=_end_with_input, daemon=True).start()
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    threading.Event().wait()


def _end_with_input() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
