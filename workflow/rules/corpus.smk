rule mine_corpus:
    input:
        sources=ancient(RUN.data.java_sources),  # their dates say nothing of the files within
    output:
        records=FILES.corpus.mined,
        counts=report(
            FILES.corpus.mined_counts,
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
        settings=settings(MineCorpusParams.from_run(RUN)),
    script:
        "../scripts/mine_corpus.py"


rule prepare_corpus:
    input:
        files=source_files,
        tokenizer=tokenizer_source,
    output:
        train=FILES.corpus.train,
        validation=FILES.corpus.validation,
        test=FILES.corpus.test,
        rejected=FILES.corpus.rejected,
        quality=report(
            FILES.corpus.quality,
            caption="../report/quality.rst",
            category="Corpus",
            labels={"file": "what became of every record"},
        ),
        tokenizer=directory(FILES.corpus.tokenizer),
    log:
        "logs/{run}/corpus/prepare_corpus.log",
    benchmark:
        "logs/{run}/corpus/prepare_corpus.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=settings(PrepareCorpusParams.from_run(RUN)),
    script:
        "../scripts/prepare_corpus.py"
