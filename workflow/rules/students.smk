rule embed_targets:
    input:
        texts=embedded_file,
        encoder=encoder_source,
    output:
        embeddings=FILES.embeddings("{encoder}", "{texts}"),
    log:
        "logs/{run}/embeddings/{encoder}/{texts}.embed_targets.log",
    benchmark:
        "logs/{run}/embeddings/{encoder}/{texts}.embed_targets.benchmark.tsv"
    conda:
        "../envs/assertkd.yaml"
    envmodules:
        *RUN.cluster.modules,
    threads: 1
    resources:
        gpu=gpus_here,
    params:
        settings=embed_settings,
    script:
        "../scripts/embed_targets.py"


rule distill_student:
    input:
        train=FILES.corpus.train,
        validation=FILES.corpus.validation,
        tokenizer=FILES.corpus.tokenizer,
        unlabelled=student_unlabelled,
        logits=student_logits,
        teacher=student_teacher,
        embeddings=student_embeddings,
        source=student_source,
    output:
        model=directory(STUDENT.final_model),
        report=report(
            STUDENT.report,
            caption="../report/training.rst",
            category="Models",
            labels={"variant": "{variant}", "seed": "{seed}", "file": "training"},
        ),
        steps=STUDENT.steps,
        epochs=report(
            STUDENT.epochs,
            caption="../report/epochs.rst",
            category="Models",
            labels={"variant": "{variant}", "seed": "{seed}", "file": "epochs"},
        ),
        losses=STUDENT.losses,
        tensorboard=directory(STUDENT.tensorboard),
    log:
        "logs/{run}/students/{variant}/seed{seed}/distill_student.log",
    benchmark:
        "logs/{run}/students/{variant}/seed{seed}/distill_student.benchmark.tsv"
    conda:
        "../envs/assertkd.yaml"
    envmodules:
        *RUN.cluster.modules,
    threads: 1
    resources:
        gpu=student_gpus,
    params:
        settings=student_settings,
    script:
        "../scripts/distill_student.py"
