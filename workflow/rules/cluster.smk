# What is done before the first run on a cluster: fetch the models where there is a network, look at the GPUs.


rule prefetch_models:
    log:
        f"logs/{RUN.name}/cluster/prefetch_models.log",
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=params.prefetch_models(RUN),
    script:
        "../scripts/prefetch_models.py"


rule measure_cuda:
    output:
        figures=temp("results/{run}/cuda.json"),
    log:
        "logs/{run}/cluster/measure_cuda.log",
    conda:
        "../envs/assertkd.yaml"
    envmodules:
        *MODULES,
    resources:
        gpu=gpus_here,
    script:
        "../scripts/measure_cuda.py"


rule check_cuda:
    input:
        figures=f"results/{RUN.name}/cuda.json",
    log:
        f"logs/{RUN.name}/cluster/check_cuda.log",
    localrule: True
    conda:
        "../envs/assertkd.yaml"
    params:
        settings=params.check_cuda(RUN),
    script:
        "../scripts/check_cuda.py"


onstart:
    require_account()
