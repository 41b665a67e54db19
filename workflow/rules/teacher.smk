rule train_teacher:
    input:
        train="results/{run}/corpus/train.jsonl",
        validation="results/{run}/corpus/validation.jsonl",
        tokenizer="results/{run}/corpus/tokenizer",
    output:
        model=directory("results/{run}/teacher/final_model"),
        report="results/{run}/teacher/training_report.json",
        steps="results/{run}/teacher/step_metrics.csv",
        epochs="results/{run}/teacher/training_metrics.csv",
        losses="results/{run}/teacher/multi_component_loss_summary.json",
        tensorboard=directory("results/{run}/teacher/tensorboard"),
    log:
        "logs/{run}/teacher/train_teacher.log",
    benchmark:
        "logs/{run}/teacher/train_teacher.benchmark.tsv"
    conda:
        "../envs/assertkd.yaml"
    envmodules:
        *MODULES,
    threads: 2
    resources:
        gpu=teacher_gpus,
    params:
        settings=params.train_teacher(RUN),
        checkpoints="results/{run}/teacher/checkpoints",
    script:
        "../scripts/train_teacher.py"
