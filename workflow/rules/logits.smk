rule compress_logits:
    input:
        model="results/{run}/teacher/final_model",
        train="results/{run}/corpus/train.jsonl",
        validation="results/{run}/corpus/validation.jsonl",
        test="results/{run}/corpus/test.jsonl",
    output:
        train=directory("results/{run}/logits/train"),
        validation=directory("results/{run}/logits/validation"),
        test=directory("results/{run}/logits/test"),
        predictions="results/{run}/logits/teacher_predictions.jsonl",
        fidelity=report(
            "results/{run}/logits/fidelity.json",
            caption="../report/fidelity.rst",
            category="Logits",
            labels={"file": "fidelity, figures"},
        ),
        fidelity_picture=report(
            "results/{run}/logits/fidelity.svg",
            caption="../report/fidelity.rst",
            category="Logits",
            labels={"file": "fidelity"},
        ),
    log:
        "logs/{run}/logits/compress_logits.log",
    benchmark:
        "logs/{run}/logits/compress_logits.benchmark.tsv"
    conda:
        "../envs/assertkd.yaml"
    envmodules:
        *MODULES,
    threads: 2
    resources:
        gpu=gpus_here,
    params:
        settings=params.compress_logits(RUN),
    script:
        "../scripts/compress_logits.py"


rule compress_predictions:
    input:
        model="results/{run}/teacher/final_model",
        train="results/{run}/corpus/train.jsonl",
        predictions="results/{run}/logits/teacher_predictions.jsonl",
    output:
        store=directory("results/{run}/logits/train_predictions"),
    log:
        "logs/{run}/logits/compress_predictions.log",
    benchmark:
        "logs/{run}/logits/compress_predictions.benchmark.tsv"
    conda:
        "../envs/assertkd.yaml"
    envmodules:
        *MODULES,
    threads: 2
    resources:
        gpu=gpus_here,
    params:
        settings=params.compress_predictions(RUN),
    script:
        "../scripts/compress_predictions.py"
