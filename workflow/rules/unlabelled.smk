# Records without an assertion, where data.unlabelled names a file of them. Apart from the corpus and the teacher's logits,
# so that another such file trains no teacher again.


rule prepare_unlabelled:
    input:
        file=unlabelled_file,
        beside=unlabelled_beside,
        train=FILES.corpus.train,
        validation=FILES.corpus.validation,
        test=FILES.corpus.test,
        tokenizer=FILES.corpus.tokenizer,
    output:
        records=FILES.corpus.unlabelled,
        rejected=FILES.corpus.unlabelled_rejected,
        quality=report(
            FILES.corpus.unlabelled_quality,
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
        settings=settings(PrepareUnlabelledParams.from_run(RUN)),
    script:
        "../scripts/prepare_unlabelled.py"


rule compress_unlabelled:
    input:
        model=FILES.teacher.final_model,
        records=FILES.corpus.unlabelled,
    output:
        store=directory(FILES.logits.unlabelled),
        predictions=FILES.logits.unlabelled_predictions,
    log:
        "logs/{run}/logits/compress_unlabelled.log",
    benchmark:
        "logs/{run}/logits/compress_unlabelled.benchmark.tsv"
    conda:
        "../envs/assertkd.yaml"
    envmodules:
        *RUN.cluster.modules,
    threads: 2
    resources:
        gpu=gpus_here,
    params:
        settings=settings(CompressUnlabelledParams.from_run(RUN)),
    script:
        "../scripts/compress_unlabelled.py"
