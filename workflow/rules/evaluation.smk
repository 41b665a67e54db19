rule predict:
    input:
        model="results/{run}/{model}/final_model",
        test="results/{run}/corpus/test.jsonl",
        logits=test_logits,
    output:
        predictions="results/{run}/evaluation/{model}/predictions.jsonl",
        measured="results/{run}/evaluation/{model}/measured.json",
    params:
        settings=predict_params,
    log:
        "logs/{run}/evaluation/{model}/predict.log",
    benchmark:
        "logs/{run}/evaluation/{model}/predict.benchmark.tsv"
    threads: 1
    resources:
        gpu=gpus_here,
    conda:
        "../envs/train.yaml"
    script:
        "../scripts/predict.py"


rule score:
    input:
        predictions="results/{run}/evaluation/{model}/predictions.jsonl",
        measured="results/{run}/evaluation/{model}/measured.json",
        teacher=teacher_predictions,
    output:
        examples="results/{run}/evaluation/{model}/predictions_final.jsonl",
        table="results/{run}/evaluation/{model}/metrics_final.csv",
        summary=report(
            "results/{run}/evaluation/{model}/metrics_summary_final.json",
            caption="../report/summary.rst",
            category="Models",
            labels={"model": "{model}", "file": "summary"},
        ),
        comparison="results/{run}/evaluation/{model}/evaluation_metrics.json",
    params:
        settings=params.score(RUN),
    log:
        "logs/{run}/evaluation/{model}/score.log",
    benchmark:
        "logs/{run}/evaluation/{model}/score.benchmark.tsv"
    conda:
        "../envs/evaluate.yaml"
    localrule: True
    script:
        "../scripts/score.py"
