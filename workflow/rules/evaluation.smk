rule predict:
    input:
        model=MODEL.final_model,
        test=FILES.corpus.test,
        logits=test_logits,
    output:
        predictions=EVALUATION.predictions,
        measured=EVALUATION.measured,
    log:
        "logs/{run}/evaluation/{model}/predict.log",
    benchmark:
        "logs/{run}/evaluation/{model}/predict.benchmark.tsv"
    wildcard_constraints:
        model=TRAINED,
    conda:
        "../envs/assertkd.yaml"
    envmodules:
        *RUN.cluster.modules,
    threads: every_core  # it computes on one
    resources:
        gpu=gpus_here,
    params:
        settings=predict_settings,
    script:
        "../scripts/predict.py"


rule import_predictions:
    input:
        test=FILES.corpus.test,
        predictions=external_file,
    output:
        predictions=EXTERNAL.predictions,
        measured=EXTERNAL.measured,
    log:
        "logs/{run}/evaluation/external/{system}/import_predictions.log",
    benchmark:
        "logs/{run}/evaluation/external/{system}/import_predictions.benchmark.tsv"
    priority: 1  # before hours of training, since the file may not fit the test split
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=settings(ImportPredictionsParams.from_run(RUN)),
    script:
        "../scripts/import_predictions.py"


rule find_nearest_record:
    input:
        train=FILES.corpus.train,
        test=FILES.corpus.test,
    output:
        predictions=NEAREST.predictions,
        measured=NEAREST.measured,
    log:
        "logs/{run}/evaluation/external/nearest_record/find_nearest_record.log",
    benchmark:
        "logs/{run}/evaluation/external/nearest_record/find_nearest_record.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=settings(FindNearestRecordParams.from_run(RUN)),
    script:
        "../scripts/find_nearest_record.py"


rule execute_gold:
    input:
        test=FILES.corpus.test,
    output:
        runs=FILES.gold_execution,
        summary=FILES.gold_summary,
    log:
        "logs/{run}/evaluation/execute_gold.log",
    benchmark:
        "logs/{run}/evaluation/execute_gold.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    threads: 2
    params:
        settings=settings(ExecuteGoldParams.from_run(RUN)),
    script:
        "../scripts/execute_gold.py"


rule execute:
    input:
        predictions=EVALUATION.predictions,
        test=FILES.corpus.test,
        gold=FILES.gold_execution,
        gold_summary=FILES.gold_summary,
    output:
        runs=EVALUATION.execution,
        summary=EVALUATION.execution_summary,
    log:
        "logs/{run}/evaluation/{model}/execute.log",
    benchmark:
        "logs/{run}/evaluation/{model}/execute.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    threads: share_of_cores
    params:
        settings=settings(ExecuteParams.from_run(RUN)),
    script:
        "../scripts/execute.py"


rule score:
    input:
        predictions=EVALUATION.predictions,
        measured=EVALUATION.measured,
        teacher=teacher_scores,
        execution=executions,
        encoder=score_source,
    output:
        examples=EVALUATION.examples,
        table=EVALUATION.table,
        summary=report(
            EVALUATION.summary,
            caption="../report/summary.rst",
            category="Models",
            labels={"model": "{model}", "file": "summary"},
        ),
        comparison=EVALUATION.comparison,
    log:
        "logs/{run}/evaluation/{model}/score.log",
    benchmark:
        "logs/{run}/evaluation/{model}/score.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    threads: share_of_cores
    params:
        settings=settings(ScoreParams.from_run(RUN)),
    script:
        "../scripts/score.py"
