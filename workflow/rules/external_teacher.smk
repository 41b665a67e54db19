# In place of teacher.smk and logits.smk where files hold the logits of an external teacher, or a server gives them.


rule import_logits:
    input:
        files=teacher_files,
        train=FILES.corpus.train,
        validation=FILES.corpus.validation,
        test=FILES.corpus.test,
        tokenizer=FILES.corpus.tokenizer,
    output:
        train=directory(FILES.logits.train),
        validation=directory(FILES.logits.validation),
        test=directory(FILES.logits.test),
        predictions=FILES.logits.teacher_predictions,
        fidelity=FILES.logits.fidelity,
    log:
        "logs/{run}/logits/import_logits.log",
    benchmark:
        "logs/{run}/logits/import_logits.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=settings(ImportLogitsParams.from_run(RUN)),
    script:
        "../scripts/import_logits.py"


rule predict_external_teacher:
    input:
        test=FILES.corpus.test,
        teacher=FILES.logits.teacher_predictions,
    output:
        predictions=FILES.evaluation(TEACHER).predictions,
        measured=FILES.evaluation(TEACHER).measured,
    log:
        "logs/{run}/evaluation/teacher/predict_external_teacher.log",
    benchmark:
        "logs/{run}/evaluation/teacher/predict_external_teacher.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=settings(PredictExternalTeacherParams.from_run(RUN)),
    script:
        "../scripts/predict_external_teacher.py"


ruleorder: predict_external_teacher > predict
