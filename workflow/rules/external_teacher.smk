# In place of teacher.smk and logits.smk where data.distillation_jsonl holds what a teacher that ran elsewhere knew.


rule compress_logits:
    input:
        files=source_files,
        train="results/{run}/corpus/train.jsonl",
        validation="results/{run}/corpus/validation.jsonl",
        test="results/{run}/corpus/test.jsonl",
        tokenizer="results/{run}/corpus/tokenizer",
    output:
        train=directory("results/{run}/logits/train"),
        validation=directory("results/{run}/logits/validation"),
        test=directory("results/{run}/logits/test"),
        predictions="results/{run}/logits/teacher_predictions.jsonl",
    log:
        "logs/{run}/logits/compress_logits.log",
    benchmark:
        "logs/{run}/logits/compress_logits.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=params.import_logits(RUN),
    script:
        "../scripts/import_logits.py"


rule predict_external_teacher:
    input:
        test="results/{run}/corpus/test.jsonl",
        teacher="results/{run}/logits/teacher_predictions.jsonl",
    output:
        predictions="results/{run}/evaluation/teacher/predictions.jsonl",
        measured="results/{run}/evaluation/teacher/measured.json",
    log:
        "logs/{run}/evaluation/teacher/predict.log",
    benchmark:
        "logs/{run}/evaluation/teacher/predict.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=params.predict_external_teacher(RUN),
    script:
        "../scripts/predict_external_teacher.py"


ruleorder: predict_external_teacher > predict
