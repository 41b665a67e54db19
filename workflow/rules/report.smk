rule build_report:
    input:
        quality=FILES.corpus.quality,
        test=FILES.corpus.test,
        fidelity=FILES.logits.fidelity,
        counts=further_counts,
        summaries=scored_files("summary"),
        comparisons=scored_files("comparison"),
        examples=scored_files("examples"),
        metrics=scored_files("table"),
        training=trained_files("report"),
        steps=trained_files("steps"),
        epochs=trained_files("epochs"),
    output:
        leaderboard=report(
            FILES.report.leaderboard,
            caption="../report/leaderboard.rst",
            category="Results",
            labels={"file": "leaderboard"},
        ),
        significance=report(
            FILES.report.significance,
            caption="../report/significance.rst",
            category="Results",
            labels={"file": "significance"},
        ),
        page=report(
            FILES.report.page,
            caption="../report/page.rst",
            category="Results",
            labels={"file": "report"},
        ),
        figures=report(
            directory(FILES.report.figures),
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
        settings=settings(BuildReportParams.from_run(RUN)),
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
        settings=settings(BuildReportParams.from_run(RUN)),
        models=models(),
        trained=trained_models(),
        run_folder=str(RUN_FILES.folder),
        fidelity=str(RUN_FILES.logits.fidelity),
        counts=list(map(str, further_counts(None))),
    script:
        "../scripts/report_so_far.py"
