rule train_teacher:
    input:
        train=FILES.corpus.train,
        validation=FILES.corpus.validation,
        tokenizer=FILES.corpus.tokenizer,
        source=teacher_source,
    output:
        model=directory(FILES.teacher.final_model),
        report=FILES.teacher.report,
        steps=FILES.teacher.steps,
        epochs=FILES.teacher.epochs,
        losses=FILES.teacher.losses,
        tensorboard=directory(FILES.teacher.tensorboard),
    log:
        "logs/{run}/teacher/train_teacher.log",
    benchmark:
        "logs/{run}/teacher/train_teacher.benchmark.tsv"
    conda:
        "../envs/assertkd.yaml"
    envmodules:
        *RUN.cluster.modules,
    threads: 2
    resources:
        gpu=teacher_gpus,
    params:
        settings=settings(TrainTeacherParams.from_run(RUN)),
    script:
        "../scripts/train_teacher.py"
