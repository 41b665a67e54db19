# The teacher's model trained on Java sources first, where teacher.pretrain.java_sources names some.


rule prepare_pretraining:
    input:
        sources=ancient(RUN.teacher.pretrain.java_sources),  # their dates say nothing of the files within
        validation=FILES.corpus.validation,
        test=FILES.corpus.test,
    output:
        records=FILES.corpus.pretraining,
        validation=FILES.corpus.pretraining_validation,
        counts=report(
            FILES.corpus.pretraining_counts,
            caption="../report/pretraining.rst",
            category="Corpus",
            labels={"file": "what is pre-trained on"},
        ),
    log:
        "logs/{run}/corpus/prepare_pretraining.log",
    benchmark:
        "logs/{run}/corpus/prepare_pretraining.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    threads: 2
    params:
        settings=settings(PreparePretrainingParams.from_run(RUN)),
    script:
        "../scripts/prepare_pretraining.py"


rule pretrain:
    input:
        records=FILES.corpus.pretraining,
        validation=FILES.corpus.pretraining_validation,
        tokenizer=FILES.corpus.tokenizer,
        source=pretrain_source,
    output:
        model=directory(FILES.pretrain.final_model),
        report=FILES.pretrain.report,
        steps=FILES.pretrain.steps,
        epochs=FILES.pretrain.epochs,
        losses=FILES.pretrain.losses,
        tensorboard=directory(FILES.pretrain.tensorboard),
    log:
        "logs/{run}/pretrain/pretrain.log",
    benchmark:
        "logs/{run}/pretrain/pretrain.benchmark.tsv"
    conda:
        "../envs/assertkd.yaml"
    envmodules:
        *RUN.cluster.modules,
    threads: 2
    resources:
        gpu=pretrain_gpus,
    params:
        settings=settings(PretrainParams.from_run(RUN)),
    script:
        "../scripts/pretrain.py"
