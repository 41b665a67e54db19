# Before external_teacher.smk where logits.server.url names a server that has the teacher.


rule capture_logits:
    input:
        train=FILES.corpus.train,
        validation=FILES.corpus.validation,
        test=FILES.corpus.test,
        tokenizer=FILES.corpus.tokenizer,
    output:
        train=FILES.logits.served.split("train"),
        validation=FILES.logits.served.split("validation"),
        test=FILES.logits.served.split("test"),
    log:
        "logs/{run}/logits/capture_logits.log",
    benchmark:
        "logs/{run}/logits/capture_logits.benchmark.tsv"
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=settings(CaptureLogitsParams.from_run(RUN)),
    script:
        "../scripts/capture_logits.py"
