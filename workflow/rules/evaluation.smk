rule predict:
    input:
        model="results/{run}/{model}/final_model",
        test="results/{run}/corpus/test.jsonl",
        logits=test_logits,
    output:
        predictions="results/{run}/evaluation/{model}/predictions.jsonl",
        measured="results/{run}/evaluation/{model}/measured.json",
    log:
        "logs/{run}/evaluation/{model}/predict.log",
    benchmark:
        "logs/{run}/evaluation/{model}/predict.benchmark.tsv"
    conda:
        "../envs/assertkd.yaml"
    envmodules:
        *MODULES,
    threads: 1
    resources:
        gpu=gpus_here,
    params:
        settings=predict_params,
    script:
        "../scripts/predict.py"


rule execute_gold:
    input:
        test="results/{run}/corpus/test.jsonl",
    output:
        runs="results/{run}/evaluation/gold_execution.jsonl",
        summary="results/{run}/evaluation/gold_execution.json",
    log:
        "logs/{run}/evaluation/execute_gold.log",
    benchmark:
        "logs/{run}/evaluation/execute_gold.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    threads: 2
    params:
        settings=params.execute_gold(RUN),
    script:
        "../scripts/execute_gold.py"


rule execute:
    input:
        predictions="results/{run}/evaluation/{model}/predictions.jsonl",
        test="results/{run}/corpus/test.jsonl",
        gold="results/{run}/evaluation/gold_execution.jsonl",
        gold_summary="results/{run}/evaluation/gold_execution.json",
    output:
        runs="results/{run}/evaluation/{model}/execution.jsonl",
        summary="results/{run}/evaluation/{model}/execution.json",
    log:
        "logs/{run}/evaluation/{model}/execute.log",
    benchmark:
        "logs/{run}/evaluation/{model}/execute.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    threads: share_of_cores
    params:
        settings=params.execute(RUN),
    script:
        "../scripts/execute.py"


rule score:
    input:
        predictions="results/{run}/evaluation/{model}/predictions.jsonl",
        measured="results/{run}/evaluation/{model}/measured.json",
        teacher=teacher_scores,
        execution=executions,
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
    log:
        "logs/{run}/evaluation/{model}/score.log",
    benchmark:
        "logs/{run}/evaluation/{model}/score.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    threads: share_of_cores
    params:
        settings=params.score(RUN),
    script:
        "../scripts/score.py"
