"""Times a workload's training steps: `python -m assertkd.training.parallel.thread_trial WORKLOAD THREADS`.

Says `ready` when it could begin, waits for a line, and then says how many examples a second it took.
"""

import json
import sys
import time

import torch
from torch.nn import functional

from assertkd.models.registry import random_model
from assertkd.settings import ModelSettings
from assertkd.training.optimizer import adamw
from assertkd.training.parallel.threads import Workload

WARM_STEPS = 2


def main(work: Workload, threads: int) -> None:
    """Warm up, wait for the word, measure."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = random_model(ModelSettings(**work.model), work.vocab_size).train()
    optimizer = adamw(model, 1e-4, 0.01)
    input_ids = torch.randint(2, work.vocab_size, (work.batch_size, work.source))
    mask = torch.ones_like(input_ids)
    labels = torch.randint(2, work.vocab_size, (work.batch_size, work.target))

    def step() -> None:
        loss = functional.cross_entropy(model(input_ids, mask, labels).logits, labels.flatten())
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(WARM_STEPS):
        step()
    print("ready", flush=True)
    sys.stdin.readline()
    started, steps = time.perf_counter(), 0
    while (seconds := time.perf_counter() - started) < work.seconds or not steps:
        step()
        steps += 1
    print(steps * work.batch_size / seconds, flush=True)


if __name__ == "__main__":
    main(Workload(**json.loads(sys.argv[1])), int(sys.argv[2]))
