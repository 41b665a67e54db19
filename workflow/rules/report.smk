rule build_report:
    input:
        quality="results/{run}/corpus/quality.json",
        test="results/{run}/corpus/test.jsonl",
        fidelity=fidelity_files,
        summaries=scored("metrics_summary_final.json"),
        comparisons=scored("evaluation_metrics.json"),
        examples=scored("predictions_final.jsonl"),
        metrics=scored("metrics_final.csv"),
        training=training_reports,
    output:
        leaderboard=report(
            "results/{run}/report/leaderboard.csv",
            caption="../report/leaderboard.rst",
            category="Results",
            labels={"file": "leaderboard"},
        ),
        significance=report(
            "results/{run}/report/significance.json",
            caption="../report/significance.rst",
            category="Results",
            labels={"file": "significance"},
        ),
        page=report(
            "results/{run}/report/report.html",
            caption="../report/page.rst",
            category="Results",
            labels={"file": "report"},
        ),
    log:
        "logs/{run}/report/build_report.log",
    benchmark:
        "logs/{run}/report/build_report.benchmark.tsv"
    localrule: True
    conda:
        "../envs/evaluate.yaml"
    params:
        settings=params.build_report(RUN),
        models=models(),
        trained=trained_models(),
    script:
        "../scripts/build_report.py"


onsuccess:
    print(closing_words(RUN.name))
