rule compress_logits:
    input:
        model=FILES.teacher.final_model,
        train=FILES.corpus.train,
        validation=FILES.corpus.validation,
        test=FILES.corpus.test,
    output:
        train=directory(FILES.logits.train),
        validation=directory(FILES.logits.validation),
        test=directory(FILES.logits.test),
        predictions=FILES.logits.teacher_predictions,
        fidelity=report(
            FILES.logits.fidelity,
            caption="../report/fidelity.rst",
            category="Logits",
            labels={"file": "fidelity, figures"},
        ),
        fidelity_picture=report(
            FILES.logits.fidelity_picture,
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
        *RUN.cluster.modules,
    threads: 2
    resources:
        gpu=gpus_here,
    params:
        settings=settings(CompressLogitsParams.from_run(RUN)),
    script:
        "../scripts/compress_logits.py"


rule compress_predictions:
    input:
        model=FILES.teacher.final_model,
        train=FILES.corpus.train,
        predictions=FILES.logits.teacher_predictions,
    output:
        store=directory(FILES.logits.train_predictions),
    log:
        "logs/{run}/logits/compress_predictions.log",
    benchmark:
        "logs/{run}/logits/compress_predictions.benchmark.tsv"
    conda:
        "../envs/assertkd.yaml"
    envmodules:
        *RUN.cluster.modules,
    threads: 2
    resources:
        gpu=gpus_here,
    params:
        settings=settings(CompressPredictionsParams.from_run(RUN)),
    script:
        "../scripts/compress_predictions.py"
