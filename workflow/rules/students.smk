rule distill_student:
    input:
        train="results/{run}/corpus/train.jsonl",
        validation="results/{run}/corpus/validation.jsonl",
        tokenizer="results/{run}/corpus/tokenizer",
        unlabelled=student_unlabelled,
        logits=student_logits,
        teacher=student_teacher,
    output:
        model=directory("results/{run}/students/{variant}/seed{seed}/final_model"),
        report=report(
            "results/{run}/students/{variant}/seed{seed}/training_report.json",
            caption="../report/training.rst",
            category="Models",
            labels={"variant": "{variant}", "seed": "{seed}", "file": "training"},
        ),
        steps="results/{run}/students/{variant}/seed{seed}/step_metrics.csv",
        epochs=report(
            "results/{run}/students/{variant}/seed{seed}/training_metrics.csv",
            caption="../report/epochs.rst",
            category="Models",
            labels={"variant": "{variant}", "seed": "{seed}", "file": "epochs"},
        ),
        losses="results/{run}/students/{variant}/seed{seed}/multi_component_loss_summary.json",
        tensorboard=directory("results/{run}/students/{variant}/seed{seed}/tensorboard"),
    log:
        "logs/{run}/students/{variant}/seed{seed}/distill_student.log",
    benchmark:
        "logs/{run}/students/{variant}/seed{seed}/distill_student.benchmark.tsv"
    conda:
        "../envs/assertkd.yaml"
    envmodules:
        *MODULES,
    threads: 1
    resources:
        gpu=student_gpus,
    params:
        settings=student_params,
        checkpoints="results/{run}/students/{variant}/seed{seed}/checkpoints",
    script:
        "../scripts/distill_student.py"
