# What is done before the first run on a cluster: fetch the models where there is a network, look at the GPUs.


rule prefetch_models:
    log:
        f"logs/{RUN.name}/cluster/prefetch_models.log",
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=settings(PrefetchModelsParams.from_run(RUN)),
    script:
        "../scripts/prefetch_models.py"


rule measure_cuda:
    output:
        figures=temp(FILES.cuda),
    log:
        "logs/{run}/cluster/measure_cuda.log",
    conda:
        "../envs/assertkd.yaml"
    envmodules:
        *RUN.cluster.modules,
    resources:
        gpu=gpus_here,
    script:
        "../scripts/measure_cuda.py"


rule check_cuda:
    input:
        figures=RUN_FILES.cuda,
    log:
        f"logs/{RUN.name}/cluster/check_cuda.log",
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=settings(CheckCudaParams.from_run(RUN)),
    script:
        "../scripts/check_cuda.py"
