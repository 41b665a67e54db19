rule build_report:
    input:
        quality="results/{run}/corpus/quality.json",
        test="results/{run}/corpus/test.jsonl",
        fidelity=fidelity_files,
        unlabelled=unlabelled_quality,
        summaries=scored("metrics_summary_final.json"),
        comparisons=scored("evaluation_metrics.json"),
        examples=scored("predictions_final.jsonl"),
        metrics=scored("metrics_final.csv"),
        training=trained_files("training_report.json"),
        steps=trained_files("step_metrics.csv"),
        epochs=trained_files("training_metrics.csv"),
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
        figures=report(
            directory("results/{run}/report/figures"),
            patterns=["{figure}.svg"],
            caption="../report/figures.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        "logs/{run}/report/build_report.log",
    benchmark:
        "logs/{run}/report/build_report.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=params.build_report(RUN),
        models=models(),
        trained=trained_models(),
    script:
        "../scripts/build_report.py"


# Asked for by name while the others train; it takes what is there, has no output and is therefore run every time.
rule report_so_far:
    log:
        f"logs/{RUN.name}/report/report_so_far.log",
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=params.build_report(RUN),
        models=models(),
        trained=trained_models(),
        run_folder=f"results/{RUN.name}",
        has_fidelity=not RUN.data.has_external_teacher,
        has_unlabelled=RUN.data.unlabelled is not None,
    script:
        "../scripts/report_so_far.py"


onsuccess:
    print(closing_words(RUN.name))
