rule mine_corpus:
    input:
        sources=RUN.data.java_sources,
    output:
        records="results/{run}/corpus/mined.jsonl",
        counts=report(
            "results/{run}/corpus/mined.json",
            caption="../report/mined.rst",
            category="Corpus",
            labels={"file": "what was mined"},
        ),
    log:
        "logs/{run}/corpus/mine_corpus.log",
    benchmark:
        "logs/{run}/corpus/mine_corpus.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    threads: 2
    params:
        settings=params.mine_corpus(RUN),
    script:
        "../scripts/mine_corpus.py"


rule prepare_corpus:
    input:
        files=source_files,
    output:
        train="results/{run}/corpus/train.jsonl",
        validation="results/{run}/corpus/validation.jsonl",
        test="results/{run}/corpus/test.jsonl",
        rejected="results/{run}/corpus/rejected.jsonl",
        quality=report(
            "results/{run}/corpus/quality.json",
            caption="../report/quality.rst",
            category="Corpus",
            labels={"file": "what became of every record"},
        ),
        tokenizer=directory("results/{run}/corpus/tokenizer"),
    log:
        "logs/{run}/corpus/prepare_corpus.log",
    benchmark:
        "logs/{run}/corpus/prepare_corpus.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=params.prepare_corpus(RUN),
    script:
        "../scripts/prepare_corpus.py"
