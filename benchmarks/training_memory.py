"""The peak memory of two training steps of full length on the CPU, as a ratio to the estimate of `assertkd memory`.

python benchmarks/training_memory.py --model Salesforce/codet5-small --batch-size 8

One case a process, whose peak never falls. Weights are random, so nothing is downloaded.
"""

import argparse

import torch
from torch.nn import functional

from assertkd.cluster.memory import training_memory
from assertkd.models.registry import random_model
from assertkd.runtime.devices import peak_memory_mb
from assertkd.settings import ModelSettings, TrainingSettings
from assertkd.training.optimizer import adamw

INPUTS, TARGETS, STEPS = 512, 128, 2
CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="Salesforce/codet5-small", help="one whose sizes are known without the hub")
    parser.add_argument("--batch-size", type=int, default=4)
    options = parser.parse_args()
    settings, training = ModelSettings(name=options.model), TrainingSettings(batch_size=options.batch_size)
    estimate = training_memory(settings, training, INPUTS, TARGETS, 0)
    assert estimate is not None
    before = peak_memory_mb(CPU)
    model = random_model(settings, 0).train()
    model.network.config.decoder_start_token_id = model.pad_token_id
    optimizer = adamw(model, 1e-4, 0.01)
    for _ in range(STEPS):
        inputs = torch.randint(2, model.vocab_size, (options.batch_size, INPUTS))
        labels = torch.randint(2, model.vocab_size, (options.batch_size, TARGETS))
        logits = model(inputs, torch.ones_like(inputs), labels).logits
        teacher = torch.softmax(torch.randn_like(logits), dim=-1)
        loss = functional.cross_entropy(logits, labels.flatten())
        loss = loss + functional.kl_div(functional.log_softmax(logits, dim=-1), teacher, reduction="batchmean")
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    measured = (peak_memory_mb(CPU) - before) * 1e6
    estimated = estimate.weights + estimate.activations
    print(
        f"{options.model}, batch size {options.batch_size}: {measured / 1e9:.2f} GB, estimated "
        f"{estimated / 1e9:.2f} GB, ratio {measured / estimated:.2f}"
    )


if __name__ == "__main__":
    main()
