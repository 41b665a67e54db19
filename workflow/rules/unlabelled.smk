# Records without an assertion, where data.unlabelled names a file of them. Apart from the corpus and the teacher's logits,
# so that another such file trains no teacher again.


rule prepare_unlabelled:
    input:
        file=unlabelled_file,
        train="results/{run}/corpus/train.jsonl",
        validation="results/{run}/corpus/validation.jsonl",
        test="results/{run}/corpus/test.jsonl",
        tokenizer="results/{run}/corpus/tokenizer",
    output:
        records="results/{run}/corpus/unlabelled.jsonl",
        rejected="results/{run}/corpus/unlabelled_rejected.jsonl",
        quality=report(
            "results/{run}/corpus/unlabelled_quality.json",
            caption="../report/quality.rst",
            category="Corpus",
            labels={"file": "what became of every unlabelled record"},
        ),
    log:
        "logs/{run}/corpus/prepare_unlabelled.log",
    benchmark:
        "logs/{run}/corpus/prepare_unlabelled.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=params.prepare_unlabelled(RUN),
    script:
        "../scripts/prepare_unlabelled.py"


rule compress_unlabelled:
    input:
        model="results/{run}/teacher/final_model",
        records="results/{run}/corpus/unlabelled.jsonl",
    output:
        store=directory("results/{run}/logits/unlabelled"),
        predictions="results/{run}/logits/unlabelled_predictions.jsonl",
    log:
        "logs/{run}/logits/compress_unlabelled.log",
    benchmark:
        "logs/{run}/logits/compress_unlabelled.benchmark.tsv"
    conda:
        "../envs/assertkd.yaml"
    envmodules:
        *MODULES,
    threads: 2
    resources:
        gpu=gpus_here,
    params:
        settings=params.compress_unlabelled(RUN),
    script:
        "../scripts/compress_unlabelled.py"
